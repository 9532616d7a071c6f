// The linear map A that makes MFA-KR's value from its key: I, N, I + N or I + diag(α) N (docs/theory.md, "Key reuse").
#pragma once

#include "model/layer_context.h"

namespace mfa {

// Acts on rows x [n, C]: A x, in row form x + (x Nᵀ) ⊙ α. The same map serves keys before they are attended to (value
// before RoPE) and head outputs after (value after RoPE), since it is linear and shared by all heads.
class ValueMap {
 public:
  ValueMap() = default;
  // `layer` owns N and α. `prefix` is its "model.layers.i.self_attn.".
  ValueMap(const LayerContext& context, KeyReuse form, std::string prefix);

  bool identity() const { return form_ == KeyReuse::identity; }
  bool needs_output() const { return form_ == KeyReuse::residual || form_ == KeyReuse::gated; }
  // Returns the mapped rows: x itself, `mixed` (x Nᵀ), or `out`. 2·n·C² operations.
  Tensor forward(Tensor x, Tensor mixed, Tensor out) const;
  // dx += Aᵀ dout; dN and dα are added to. `scratch` [n, C] is overwritten (gated form only).
  void backward(Tensor x, Tensor mixed, Tensor dout, Tensor dx, Tensor scratch) const;

 private:
  const LayerContext* context_ = nullptr;
  KeyReuse form_ = KeyReuse::identity;
  std::string mix_, gate_;
};

}  // namespace mfa
