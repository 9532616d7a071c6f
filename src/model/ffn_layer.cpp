#include "model/ffn_layer.h"

namespace mfa {

FfnLayer::FfnLayer(const LayerContext& context, int64_t layer, Workspace& workspace) : context_(&context) {
  const std::string prefix = "model.layers." + std::to_string(layer) + ".mlp.";
  const DType real = context.device.real();
  const int64_t rows = context.rows(), ffn = context.config.layers[layer].ffn;
  LinearLayer::Names in{prefix + "gate_proj.weight", prefix + "up_proj.weight", "", ""};
  LinearLayer::Names down{prefix + "down_proj.weight", prefix + "down_proj.weight", "", ""};
  if (context.config.ffn_bias) {
    in.first_bias = prefix + "gate_proj.bias", in.last_bias = prefix + "up_proj.bias";
    down.first_bias = down.last_bias = prefix + "down_proj.bias";
  }
  in_ = LinearLayer(context, std::move(in), workspace);
  down_ = LinearLayer(context, std::move(down), workspace);
  gate_up_ = workspace.saved.tensor("gate and up", real, rows, 2 * ffn);
  act_ = workspace.saved.tensor("gated", real, rows, ffn);
  if (context.gradients != nullptr) dact_ = workspace.scratch.tensor("dgated", real, rows, ffn);
}

void FfnLayer::forward(Tensor x, Tensor y) {
  x_ = x;
  in_.forward(x, gate_up_);
  context_->device.swiglu_forward(gate_up_.slice_cols(0, act_.cols), gate_up_.slice_cols(act_.cols, act_.cols), act_);
  down_.forward(act_, y, true);
}

void FfnLayer::backward(Tensor dy, Tensor dx) {
  down_.backward(act_, dy, dact_);
  const Tensor gate = gate_up_.slice_cols(0, act_.cols), up = gate_up_.slice_cols(act_.cols, act_.cols);
  context_->device.swiglu_backward(gate, up, dact_, gate, up);
  in_.backward(x_, gate_up_, dx);
}

}  // namespace mfa
