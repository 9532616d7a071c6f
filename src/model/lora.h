// Low-rank adapters (Hu et al., 2021, arXiv 2106.09685): y = x Wᵀ + (α/R) (x Aᵀ) Bᵀ with W frozen.
#pragma once

#include <string>
#include <vector>

#include "model/parameter_store.h"

namespace mfa {

struct LoraSpec {
  int64_t rank = 0;  // R; 0: no adapters
  double alpha = 0;  // α
  // Last parts of the names of adapted modules, such as q_proj; empty: every linear layer (not the embedding and the
  // classifier).
  std::vector<std::string> targets;

  double scale() const { return alpha / static_cast<double>(rank); }
  bool operator==(const LoraSpec&) const = default;
};

// Modules that an adapter may sit on: "model.layers.0.self_attn.q_proj", in the order of the parameter table.
std::vector<std::string> linear_modules(const ModelConfig& config);

// The adapters' own tensors: for each module, MODULE.lora_A.weight [R, in] and MODULE.lora_B.weight [out, R]. BadInput
// for a rank or α out of range, and for a target that names no module of the model.
std::vector<ParameterSpec> lora_table(const ModelConfig& config, const LoraSpec& spec);

// Of the frozen model, what still gets gradients: its vectors (norms, biases, gates). Nobody reads them; they are where
// the kernels of those layers, which know of no freezing, add what they compute beside the input's gradient. A few
// numbers in a thousand of the model's.
std::vector<ParameterSpec> vectors_of(const ModelConfig& config);

// The adapters of one model and their gradients.
struct Lora {
  LoraSpec spec;
  ParameterStore weights, gradients;

  Lora(Device& device, const ModelConfig& config, LoraSpec spec);
};

// B = 0, so that training starts from the model as it is; A uniform in ±1/√in, as PEFT does. Each tensor draws from its
// own stream of `seed`.
void initialise(Lora& lora, uint64_t seed);

// W += (α/R) B A for each adapted module of `weights`, in f32: 2·R operations a number of W.
void merge(const Lora& lora, ParameterStore& weights);

}  // namespace mfa
