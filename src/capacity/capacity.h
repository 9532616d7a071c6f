// What a model costs and can hold, computed from its ModelConfig alone: nothing is loaded, nothing is run.
// docs/capacity.md explains each figure for users.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "model/model_config.h"
#include "model/presets.h"

namespace mfa {

// A figure of all layers. Layers of converted models differ from each other, hence not one number.
struct LayerFigure {
  double min = 0, max = 0, mean = 0;
  bool uniform() const { return min == max; }
};

// Parameters of one attention tensor (q_proj, wq, o_proj, …), weight and bias, summed over the layers.
struct AttentionPart {
  std::string tensor;
  int64_t parameters = 0;
};

struct CapacityOptions {
  int64_t context = 0;          // T, tokens: prompt length, decoding depth and training length; 0: the model's own
  DType kv_type = DType::bf16;  // f32, bf16 or f16: what the cache stores
};

// One row of `mfa capacity`. FLOPs count a multiply and an add as 2, and matrix products and attention only:
// normalisation, rotation, softmax and activations are left out, as is usual (about 1 %).
struct CapacityRow {
  std::string name;                  // of the model, or of the shape
  std::string attention;             // preset; several kinds are joined by '+'
  int64_t parameters = 0;            // each tensor once: a tied classifier adds nothing
  int64_t active_parameters = 0;     // that one token meets; equal to `parameters` for a dense model
  int64_t attention_parameters = 0;  // all self_attn tensors, their norms and biases included
  std::vector<AttentionPart> attention_parts;
  int64_t kv_bytes_per_token = 0;      // over the layers that own a cache
  LayerFigure slsd;                    // shared latent subspace dim: what keys and values of all heads live in
  LayerFigure frh;                     // factorization rank per head
  LayerFigure ter;                     // total effective rank: heads · FRH
  int64_t context = 0;                 // T of the figures below
  double flops_per_token_prefill = 0;  // mean over a prompt of T tokens; the classifier runs once a prompt
  double flops_per_token_decode = 0;   // one token that sees T tokens, itself included; MLA absorbed
  // The convention of `mfa bench train`: 6 · (parameters in products) + 6 · layers · heads · head_dim · T, whatever the
  // window; for key dim ≠ value dim, head_dim is their mean. Recomputation in the backward pass is not counted.
  double flops_per_token_train = 0;
  // What a step really does: windows cut, causal half to the token, backward of attention 2.5 × its forward, since it
  // recomputes the probabilities.
  double flops_per_token_train_exact = 0;
};

// Throws BadInput when `config` is not valid (model/model_config.h) or the cache type is not one of the three.
CapacityRow capacity_of(const ModelConfig& config, std::string_view name, const CapacityOptions& options = {});

// One row a variant: the first is filled as it is, the others are matched to its parameters (but fpba, which cannot
// be).
std::vector<CapacityRow> capacity_of_variants(std::span<const std::string_view> presets, const PresetOptions& shape,
                                              std::string_view shape_name, const CapacityOptions& options = {});

// Measures of one layer's attention (docs/theory.md §Capacity). Keys and values that differ in dim: the smaller one.
int64_t shared_latent_subspace_dim(const AttentionSpec& attention, int64_t width);
int64_t factorization_rank_per_head(const AttentionSpec& attention, int64_t width);
int64_t total_effective_rank(const AttentionSpec& attention, int64_t width);

// Tokens that a token sees on average over a causal sequence of `tokens`, itself included; window 0: all before it.
double mean_visible_tokens(int64_t tokens, int64_t window);

}  // namespace mfa
