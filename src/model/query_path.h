// The query path of one layer: dense, or low-rank S_q Q_c with or without the norm between; head norms; RoPE.
#pragma once

#include "model/linear_layer.h"
#include "model/norm_layer.h"
#include "model/rotary.h"

namespace mfa {

// The first product (q_proj: all of it when dense, S_q when low-rank) is done by the layer together with the keys' and
// values', since all three read the same input; this class continues from its columns `p`.
class QueryPath {
 public:
  QueryPath(const LayerContext& context, int64_t layer, RotaryTable rotary, Workspace& workspace);

  int64_t down_cols() const { return low_rank() ? spec_->q_rank : spec_->n_heads * spec_->key_dim(); }
  Tensor forward(Tensor p);    // -> q [rows, n_heads · key_dim], rotated; f32, or an operand (device.h)
  Tensor gradient(Tensor dp);  // where attention_backward shall write dq
  void backward(Tensor dp);    // dq (in gradient(dp)) -> dp [rows, down_cols], written

 private:
  bool low_rank() const { return spec_->q_rank > 0; }
  void rotate(Tensor q, bool inverse, Tensor out = {});

  const LayerContext* context_;
  const AttentionSpec* spec_;
  RotaryTable rotary_;
  LinearLayer up_;  // Q_c
  NormLayer latent_norm_, head_norm_;
  Tensor p_, latent_, raw_, q_;  // P's columns; normed latent; q before the head norm; q
  Tensor dq_, dlatent_;          // scratch
  Tensor turned_, turned_dq_;    // q rotated and dq rotated back, where nothing but products, which round, reads them
};

}  // namespace mfa
