// ModelConfig: one LayerSpec a layer, because real and converted models differ from layer to layer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/attention_spec.h"

namespace mfa {

enum class FfnKind { swiglu };
enum class ModelNorm { rms, layer };

struct LayerSpec {
  AttentionSpec attention;
  int64_t ffn = 0;           // inner width of the SwiGLU
  int64_t window = 0;        // sliding window, tokens that a token sees, itself included; 0: all
  int64_t cache_owner = -1;  // the layer whose K and V it reads; −1: its own. Only a lower layer that owns its cache
  bool operator==(const LayerSpec&) const = default;
};

// Names of initialisations, so that sensitivity can be measured (docs/theory.md).
enum class InitKind { paper, gpt2, deepseek };
enum class GateInit { zero, one, normal };
enum class MixInit { fan_in, identity };

struct ModelConfig {
  int64_t width = 0, vocab = 0, context = 0;
  ModelNorm norm = ModelNorm::rms;
  double norm_eps = 1e-5;
  bool tied = true;  // the classifier is the embedding
  bool ffn_bias = false;
  int64_t bos = -1, eos = -1;
  std::vector<LayerSpec> layers;

  int64_t n_layers() const { return static_cast<int64_t>(layers.size()); }
  // The layer whose cache layer i reads: itself, or its owner.
  int64_t cache_layer(int64_t i) const { return layers[i].cache_owner < 0 ? i : layers[i].cache_owner; }
  bool owns_cache(int64_t i) const { return layers[i].cache_owner < 0; }
  bool operator==(const ModelConfig&) const = default;
};

// Throws BadInput that names the field, what it is and what is expected: sizes in range, heads a multiple of KV heads,
// owners below their readers and alike in shape, rotary dims even, total parameters below 2^40.
void validate(const ModelConfig& config);

// A parameter tensor [rows, cols] of the model, in the order in which the flat buffer holds them.
struct ParameterSpec {
  std::string name;            // Hugging Face name, e.g. model.layers.0.self_attn.q_proj.weight
  int64_t rows = 0, cols = 0;  // vectors: rows = 1
  int64_t offset = 0;          // in numbers from the start of the flat buffer
  bool decay = true;           // weight decay applies (not to norms, biases, gates)
  int64_t layer = -1;          // −1: outside the layers
  bool vector = false;         // written to disk as a vector [cols]
  int64_t size() const { return rows * cols; }
};

// The table of names that carves the flat buffers. Tensors that one product can serve stand next to each other
// (q, k, v; gate, up), so that a view over both is one weight.
std::vector<ParameterSpec> parameter_table(const ModelConfig& config);
int64_t parameter_count(const ModelConfig& config);

}  // namespace mfa
