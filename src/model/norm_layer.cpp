#include "model/norm_layer.h"

namespace mfa {

NormLayer::NormLayer(const LayerContext& context, const std::string& name, NormKind kind, int64_t groups, Arena& saved)
    : context_(&context), weight_(context.parameter(name + ".weight")), kind_(kind) {
  if (kind == NormKind::layer) bias_ = context.parameter(name + ".bias");
  const int64_t numbers = kind == NormKind::layer ? 2 * groups : groups;
  statistics_ = saved.tensor(name + " statistics", context.device.real(), context.rows(), numbers);
}

NormArgs NormLayer::args(Tensor x, Tensor y) const {
  return {.kind = kind_,
          .x = x,
          .weight = weight_.value,
          .bias = bias_.value,
          .y = y,
          .statistics = statistics_,
          .eps = context_->config.norm_eps};
}

void NormLayer::forward(Tensor x, Tensor y, Tensor base, Tensor branch) {
  NormArgs all = args(x, y);
  all.base = base, all.branch = branch;
  context_->device.norm_forward(all);
}

void NormLayer::backward(Tensor x, Tensor dy, Tensor dx, bool accumulate) {
  context_->device.norm_backward({.forward = args(x, {}),
                                  .dy = dy,
                                  .dx = dx,
                                  .dweight = weight_.gradient,
                                  .dbias = bias_.gradient,
                                  .accumulate_dx = accumulate});
}

}  // namespace mfa
