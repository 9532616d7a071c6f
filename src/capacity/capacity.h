// What a model costs and can hold, computed from its config alone: nothing is loaded, nothing is run.
// docs/capacity.md explains each figure for users; layer_cost.h counts, this adds up.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "capacity/layer_cost.h"
#include "model/model_config.h"
#include "model/presets.h"

namespace mfa {

// A figure of all layers that have it. Layers of converted models differ from each other, hence not one number.
struct LayerFigure {
  double min = 0, max = 0, mean = 0;
  bool uniform() const { return min == max; }
};

// Parameters of one attention tensor (q_proj, wq, o_proj, …), weight and bias, summed over the layers.
struct AttentionPart {
  std::string tensor;
  int64_t parameters = 0;
};

// How FLOPs and bytes are counted. step3_report: as the tables of arXiv 2507.19427 do (report_convention.h).
enum class Convention { exact, step3_report };

struct CapacityOptions {
  int64_t context = 0;          // T, tokens: prompt length, decoding depth and training length; 0: the model's own
  DType kv_type = DType::bf16;  // f32, bf16, f16 or i8: what the cache stores. The report has its own
  Convention convention = Convention::exact;
};

// What one decoded token at depth T asks of the hardware, apart from weights.
struct DecodeWork {
  double kv_bytes = 0;      // read (states of linear attention also written)
  double core_flops = 0;    // attention core and softmax: they overlap with reading the cache
  double linear_flops = 0;  // the rest of attention: projections, rotation, its norms
  double ffn_flops = 0;     // all else: feed-forward, router, classifier, norms of the stream
};

// One row of `mfa capacity`.
struct CapacityRow {
  std::string name;       // of the model, or of the shape
  std::string attention;  // preset; several kinds are joined by '+'
  Convention convention = Convention::exact;
  bool runs = true;                  // false: there are kinds of layer that we count but do not run
  std::vector<std::string> notes;    // what is left out, or counted but not run, by name
  int64_t parameters = 0;            // each tensor once: a tied classifier adds nothing
  int64_t active_parameters = 0;     // that one token meets; equal to `parameters` for a dense model
  int64_t attention_parameters = 0;  // all self_attn tensors, their norms and biases included
  int64_t ffn_parameters = 0;        // experts and router included
  std::vector<AttentionPart> attention_parts;
  int64_t kv_bytes_per_token = 0;      // over the layers that own a cache
  int64_t state_bytes = 0;             // of a sequence of any length: linear attention
  int64_t kv_bytes_context = 0;        // of a sequence of T tokens, state included
  LayerFigure slsd;                    // shared latent subspace dim: what keys and values of all heads live in
  LayerFigure frh;                     // factorization rank per head
  LayerFigure ter;                     // total effective rank: heads · FRH
  int64_t context = 0;                 // T of the figures below
  double flops_per_token_prefill = 0;  // mean over a prompt of T tokens; the classifier runs once a prompt
  double flops_per_token_decode = 0;   // one token that sees T tokens, itself included; MLA absorbed
  // The convention of `mfa bench train`: 6 · (parameters in products) + 6 · layers · heads · head_dim · T, whatever the
  // window; for key dim ≠ value dim, head_dim is their mean. Recomputation in the backward pass is not counted.
  double flops_per_token_train = 0;
  // What a step really does, by flop_rules.h: windows cut, causal half to the token, probabilities computed again.
  double flops_per_token_train_exact = 0;
  // Prompts of MLA as our runtime computes them, absorbed. 0: no latent layers.
  double flops_per_token_prefill_absorbed = 0;
  Flops prefill, decode, train;  // by part, sums of the three exact figures above; a token's share
  DecodeWork work;
  double flops_per_kv_byte = 0;  // arithmetic intensity of decoding's attention: core (without softmax) ÷ bytes read
  // Numbers of weights that a decoded token reads: matrices (not experts), one expert, how many there are and are
  // chosen, summed over layers as products; vectors (norms, biases).
  int64_t matrix_numbers = 0, vector_numbers = 0;
  struct Experts {
    int64_t experts = 0, top_k = 0, numbers = 0, layers = 0;
  };
  std::vector<Experts> experts;  // one entry a kind of expert layer
};

// Throws BadInput when `config` is not valid (model/model_config.h) or the cache type is none of the four.
CapacityRow capacity_of(const ModelConfig& config, std::string_view name, const CapacityOptions& options = {});
CapacityRow capacity_of(const CostModel& model, std::string_view name, const CapacityOptions& options = {});

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
