// The SwiGLU feed-forward layer: down(silu(gate x) ⊙ up x), forward and backward.
#pragma once

#include "model/layer_context.h"

namespace mfa {

class FfnLayer {
 public:
  FfnLayer(const LayerContext& context, int64_t layer, Workspace& workspace);
  void forward(Tensor x, Tensor y);     // y += ffn(x); x [rows, width] is kept by view
  void backward(Tensor dy, Tensor dx);  // dx written

 private:
  const LayerContext* context_;
  std::string prefix_;
  Tensor x_, gate_up_, act_;  // [rows, 2·ffn]: gate, then up; backward overwrites it with its gradient
  Tensor dact_;
};

}  // namespace mfa
