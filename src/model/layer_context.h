// What the layers of one model share while training: device, parameters, gradients, positions, memory.
#pragma once

#include "base/arena.h"
#include "kernels/device.h"
#include "model/model_config.h"
#include "model/parameter_store.h"

namespace mfa {

struct Lora;

// A parameter and its gradient (empty for a frozen one): found by name once, when a layer is made, so that a step
// builds no names.
struct Parameter {
  Tensor value, gradient;
};

struct LayerContext {
  Device& device;
  const ModelConfig& config;
  ParameterStore& weights;
  ParameterStore* gradients = nullptr;  // null: forward only; a tensor that it lacks is frozen
  Lora* lora = nullptr;                 // adapters on linear layers; null: none
  int64_t sequences = 1, context = 1;
  Tensor positions;             // [1, rows] i32
  Tensor doc_start;             // [1, rows] i32
  std::vector<Tensor> alibi;    // slopes of each layer, [1, n_heads]; empty tensors without ALiBi
  bool documents = false;       // the batch has windows of several documents: attention looks at doc_start
  bool want_max_logit = false;  // layers record their largest attention logit

  int64_t rows() const { return sequences * context; }
  // Empty for a frozen tensor.
  Tensor gradient(const std::string& name) const { return gradients->has(name) ? (*gradients)[name] : Tensor{}; }
  Parameter parameter(const std::string& name) const {
    return {weights[name], gradients != nullptr ? gradient(name) : Tensor{}};
  }
};

// Activations that backward needs live in `saved` until the step ends; `scratch` serves one layer after the other.
struct Workspace {
  Arena saved, scratch;
};

// y (=|+=) x Wᵀ + bias. W [out, in]; an empty bias is none. reuse_w: for a W that many blocks of rows meet in turn.
inline void linear_forward(Device& device, Tensor x, Tensor w, Tensor bias, Tensor y, bool accumulate = false,
                           Reuse reuse_w = Reuse::no) {
  device.matmul({.a = x, .b = w, .c = y, .transpose_b = true, .accumulate = accumulate, .reuse_b = reuse_w});
  if (bias) device.add_bias(y, bias);
}

// dW += dyᵀ x, dbias += Σ dy, and dx (=|+=) dy W; what is empty is left out.
inline void linear_backward(Device& device, Tensor x, Tensor w, Tensor dy, Tensor dw, Tensor dbias, Tensor dx,
                            bool accumulate_dx = false, Reuse reuse_w = Reuse::no) {
  if (dw) device.matmul({.a = dy, .b = x, .c = dw, .transpose_a = true, .accumulate = true});
  if (dbias) device.bias_gradient(dy, dbias);
  if (dx)
    device.matmul(
        {.a = dy, .b = w, .c = dx, .accumulate = accumulate_dx, .same_a = static_cast<bool>(dw), .reuse_b = reuse_w});
}

}  // namespace mfa
