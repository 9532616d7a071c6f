#include "model/ffn_layer.h"

namespace mfa {

FfnLayer::FfnLayer(const LayerContext& context, int64_t layer, Workspace& workspace)
    : context_(&context), prefix_("model.layers." + std::to_string(layer) + ".mlp.") {
  const DType real = context.device.real();
  const int64_t rows = context.rows(), ffn = context.config.layers[layer].ffn;
  gate_up_ = workspace.saved.tensor("gate and up", real, rows, 2 * ffn);
  act_ = workspace.saved.tensor("gated", real, rows, ffn);
  if (context.gradients != nullptr) dact_ = workspace.scratch.tensor("dgated", real, rows, ffn);
}

void FfnLayer::forward(Tensor x, Tensor y) {
  Device& device = context_->device;
  const ParameterStore& w = context_->weights;
  const bool bias = context_->config.ffn_bias;
  x_ = x;
  linear_forward(device, x, w.span(prefix_ + "gate_proj.weight", prefix_ + "up_proj.weight"),
                 bias ? w.span(prefix_ + "gate_proj.bias", prefix_ + "up_proj.bias") : Tensor{}, gate_up_);
  device.swiglu_forward(gate_up_.slice_cols(0, act_.cols), gate_up_.slice_cols(act_.cols, act_.cols), act_);
  linear_forward(device, act_, w[prefix_ + "down_proj.weight"], bias ? w[prefix_ + "down_proj.bias"] : Tensor{}, y,
                 true);
}

void FfnLayer::backward(Tensor dy, Tensor dx) {
  Device& device = context_->device;
  const ParameterStore &w = context_->weights, &g = *context_->gradients;
  const bool bias = context_->config.ffn_bias;
  linear_backward(device, act_, w[prefix_ + "down_proj.weight"], dy, g[prefix_ + "down_proj.weight"],
                  bias ? g[prefix_ + "down_proj.bias"] : Tensor{}, dact_);
  const Tensor gate = gate_up_.slice_cols(0, act_.cols), up = gate_up_.slice_cols(act_.cols, act_.cols);
  device.swiglu_backward(gate, up, dact_, gate, up);
  linear_backward(device, x_, w.span(prefix_ + "gate_proj.weight", prefix_ + "up_proj.weight"), gate_up_,
                  g.span(prefix_ + "gate_proj.weight", prefix_ + "up_proj.weight"),
                  bias ? g.span(prefix_ + "gate_proj.bias", prefix_ + "up_proj.bias") : Tensor{}, dx);
}

}  // namespace mfa
