// RMSNorm or LayerNorm as a forward + backward pair.
#pragma once

#include <string>

#include "model/layer_context.h"

namespace mfa {

class NormLayer {
 public:
  NormLayer() = default;
  // `name` without ".weight". Normalises runs of weight.cols columns; `groups` of them in a row.
  NormLayer(const LayerContext& context, const std::string& name, NormKind kind, int64_t groups, Arena& saved);

  void forward(Tensor x, Tensor y, Tensor base = {}, Tensor branch = {});  // x = base + branch first, if given
  // x as in forward. dx (=|+=) …; dweight, dbias are added to.
  void backward(Tensor x, Tensor dy, Tensor dx, bool accumulate);

 private:
  NormArgs args(Tensor x, Tensor y) const;
  const LayerContext* context_ = nullptr;
  Parameter weight_, bias_;
  NormKind kind_ = NormKind::rms;
  Tensor statistics_;
};

}  // namespace mfa
