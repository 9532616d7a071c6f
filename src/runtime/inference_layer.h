// One Transformer layer for inference: packed weights, and the cache written and read.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/arena.h"
#include "kernels/device.h"
#include "model/parameter_store.h"
#include "model/rotary.h"
#include "runtime/kv_cache.h"

namespace mfa {

// Norm weights and biases, by name, in one allocation.
class PackedVectors {
 public:
  PackedVectors(Device& device, const ParameterStore& weights);
  Tensor operator[](const std::string& name) const { return vectors_.at(name); }
  bool has(const std::string& name) const { return vectors_.contains(name); }
  Tensor find(const std::string& name) const { return has(name) ? (*this)[name] : Tensor{}; }  // empty: there is none

 private:
  DeviceMemory memory_;
  std::unordered_map<std::string, Tensor> vectors_;
};

// Rows that are computed together, each a token of some sequence.
struct InferenceScratch {
  int64_t rows = 0;  // of this block
  Tensor h, normed, down, q_latent, q, q_absorbed, k, cached, out, expanded, gate_up, act, statistics, positions;
  std::vector<int64_t> slots;  // of the cache, one a row
  std::vector<PagedSequence> sequences;
};

class InferenceLayer {
 public:
  InferenceLayer(Device& device, const ModelConfig& config, int64_t layer, const ParameterStore& weights,
                 const PackedVectors& vectors, RotaryTable rotary, DType storage);

  // h += attention(norm(h)), h += ffn(norm(h)), for the scratch's rows.
  void forward(InferenceScratch& s, KvCache& cache) const;
  size_t weight_bytes() const;

  // Columns each scratch tensor must have for this layer.
  struct Sizes {
    int64_t down, q_latent, q, q_absorbed, k, cached, out, expanded, gate_up, act, statistics;
  };
  Sizes sizes() const;

 private:
  void attention(InferenceScratch& s, KvCache& cache) const;
  Tensor queries(InferenceScratch& s, Tensor p) const;
  Tensor absorb(InferenceScratch& s, Tensor q) const;
  void append(InferenceScratch& s, KvCache& cache, Tensor p) const;
  void append_latent(InferenceScratch& s, KvCache& cache, Tensor p) const;
  Tensor head_outputs(InferenceScratch& s, Tensor out) const;
  struct Norm {
    Tensor weight, bias;
  };
  void find_vectors(const PackedVectors& vectors, const std::string& prefix);
  void norm(const Norm& norm, bool layer_norm, Tensor x, Tensor y, Tensor statistics) const;
  void rotate(InferenceScratch& s, Tensor x, int64_t heads, int64_t head_dim, int64_t offset, bool inverse) const;
  void add_bias(Tensor bias, Tensor y) const;  // an empty bias is none
  // The cache holds unrotated keys where the value is the key before RoPE.
  bool rotate_on_read() const;
  bool latent() const { return spec_->key_source == KeySource::latent; }
  int64_t query_cols() const;

  Device* device_;
  const ModelConfig* config_;
  const AttentionSpec* spec_;
  int64_t layer_;
  RotaryTable rotary_;
  // Found by name once, so that a step builds no names. Empty where the layer has none.
  Norm input_norm_, ffn_norm_, query_latent_norm_, cached_latent_norm_, query_norm_, key_norm_;
  Tensor query_bias_, key_bias_, value_bias_, output_bias_, gate_bias_, up_bias_, down_bias_;
  DeviceMemory alibi_memory_;
  Tensor alibi_;
  std::unique_ptr<PackedWeight> down_, q_up_, out_, gate_up_, ffn_down_;
  std::vector<std::unique_ptr<PackedWeight>> absorb_,
      expand_;  // MLA, by head: [kv_rank, head_dim], [value_dim, kv_rank]
};

}  // namespace mfa
