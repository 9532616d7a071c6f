// The SwiGLU feed-forward layer: down(silu(gate x) ⊙ up x), forward and backward.
#pragma once

#include "model/linear_layer.h"

namespace mfa {

class FfnLayer {
 public:
  FfnLayer(const LayerContext& context, int64_t layer, Workspace& workspace);
  void forward(Tensor x, Tensor y);     // y += ffn(x); x [rows, width] is kept by view
  void backward(Tensor dy, Tensor dx);  // dx written

 private:
  const LayerContext* context_;
  LinearLayer in_, down_;     // gate and up; down
  Tensor x_, gate_up_, act_;  // [rows, 2·ffn]: gate, then up; backward overwrites it with its gradient
  Tensor dact_;
};

}  // namespace mfa
