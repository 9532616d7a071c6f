#include "model/norm_layer.h"

namespace mfa {

NormLayer::NormLayer(const LayerContext& context, std::string name, NormKind kind, int64_t groups, Arena& saved)
    : context_(&context), name_(std::move(name)), kind_(kind) {
  const int64_t numbers = kind == NormKind::layer ? 2 * groups : groups;
  statistics_ = saved.tensor(name_ + " statistics", context.device.real(), context.rows(), numbers);
}

NormArgs NormLayer::args(Tensor x, Tensor y) const {
  const ParameterStore& w = context_->weights;
  return {.kind = kind_,
          .x = x,
          .weight = w[name_ + ".weight"],
          .bias = kind_ == NormKind::layer ? w[name_ + ".bias"] : Tensor{},
          .y = y,
          .statistics = statistics_,
          .eps = context_->config.norm_eps};
}

void NormLayer::forward(Tensor x, Tensor y) { context_->device.norm_forward(args(x, y)); }

void NormLayer::backward(Tensor x, Tensor dy, Tensor dx, bool accumulate) {
  context_->device.norm_backward({.forward = args(x, {}),
                                  .dy = dy,
                                  .dx = dx,
                                  .dweight = context_->gradient(name_ + ".weight"),
                                  .dbias = kind_ == NormKind::layer ? context_->gradient(name_ + ".bias") : Tensor{},
                                  .accumulate_dx = accumulate});
}

}  // namespace mfa
