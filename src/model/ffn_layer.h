// The SwiGLU feed-forward layer: down(silu(gate x) ⊙ up x), forward and backward.
#pragma once

#include "model/linear_layer.h"

namespace mfa {

class FfnLayer {
 public:
  FfnLayer(const LayerContext& context, int64_t layer, Workspace& workspace);
  void forward(Tensor x, Tensor y);     // y = ffn(x); x [rows, width] is kept by view
  void backward(Tensor dy, Tensor dx);  // dx written

 private:
  const LayerContext* context_;
  LinearLayer in_, down_;  // gate and up; down
  Tensor x_, act_;
  Tensor gate_up_, dgate_up_;  // [rows, 2·ffn]: gate, then up; one tensor unless the gradient is an operand of bf16
  Tensor dact_;
};

}  // namespace mfa
