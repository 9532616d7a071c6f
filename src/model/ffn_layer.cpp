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
  act_ = workspace.saved.tensor("gated", context.device.operand(), rows, ffn);
  if (context.gradients == nullptr) return;
  dact_ = workspace.scratch.tensor("dgated", real, rows, ffn);
  const DType gradient = context.config.ffn_bias ? real : context.device.operand();  // a bias reads it, too
  dgate_up_ = gradient == real ? gate_up_ : workspace.scratch.tensor("dgate and dup", gradient, rows, 2 * ffn);
}

void FfnLayer::forward(Tensor x, Tensor y) {
  x_ = x;
  in_.forward(x, gate_up_);
  context_->device.swiglu_forward(gate_up_.slice_cols(0, act_.cols), gate_up_.slice_cols(act_.cols, act_.cols), act_);
  down_.forward(act_, y, false);
}

void FfnLayer::backward(Tensor dy, Tensor dx) {
  down_.backward(act_, dy, dact_);
  const int64_t ffn = act_.cols;
  context_->device.swiglu_backward(gate_up_.slice_cols(0, ffn), gate_up_.slice_cols(ffn, ffn), dact_,
                                   dgate_up_.slice_cols(0, ffn), dgate_up_.slice_cols(ffn, ffn));
  in_.backward(x_, dgate_up_, dx);
}

}  // namespace mfa
