// What one layer costs, from its numbers alone: no strings, no allocation, about a microsecond a call. Everything that
// `mfa capacity` and `mfa plan` print is a sum of these.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/dtype.h"
#include "capacity/cost_spec.h"

namespace mfa {

// Where FLOPs go. flop_rules.h says what each operation counts as.
enum class FlopPart {
  embedding,    // looking rows up is none; Gemma multiplies them by a constant
  projections,  // products of the attention: queries, keys, values, latents, output, gate
  core,         // attention itself: queries with keys, probabilities with values; the update of a linear state
  softmax,      // and its normalisation, ALiBi, soft caps
  rotation,     // RoPE: queries, keys; cached keys when they are read (MFA-KR), head outputs (values after RoPE)
  norms,
  biases,
  value_map,    // MFA-KR's N and α; in inference it is part of the output projection
  ffn,          // products of the feed-forward layers: those of the chosen experts
  router,       // choosing experts, weighting and adding their outputs
  activations,  // gates of feed-forward layers and attention
  residual,     // adding a layer's output to the stream, where no product does that
  classifier,
  loss,  // softmax cross-entropy
};
constexpr int kFlopParts = 14;
std::string_view flop_part_name(FlopPart part);

// FLOPs by part; doubles, which hold every whole number up to 2^53.
struct Flops {
  std::array<double, kFlopParts> parts{};
  double& operator[](FlopPart part) { return parts[static_cast<size_t>(part)]; }
  double operator[](FlopPart part) const { return parts[static_cast<size_t>(part)]; }
  double total() const;
  Flops& operator+=(const Flops& other);
  Flops operator*(double factor) const;
  Flops operator/(double divisor) const;
};

// Under which circumstances a layer is counted.
struct CostQuery {
  int64_t width = 0;            // of the model
  int64_t context = 1;          // T: tokens of the prompt, depth of decoding, tokens of a training sequence
  DType kv_type = DType::bf16;  // f32, bf16, f16 or i8 (with its scales)
  // MLA: prompts meet the latent itself, as decoding does, instead of keys and values expanded for each head. More
  // FLOPs, no expanded copies; what our runtime does.
  bool absorbed_prefill = false;
};

// The engine computes prompts in blocks of so many rows (EngineOptions::rows). Only the rotation of keys that a cache
// holds unrotated depends on it: once a block.
constexpr int64_t kPrefillRows = 256;

struct LayerCost {
  int64_t attention_parameters = 0, ffn_parameters = 0, norm_parameters = 0;
  int64_t idle_parameters = 0;  // of experts that a token does not meet
  int64_t parameters() const { return attention_parameters + ffn_parameters + norm_parameters; }
  int64_t active_parameters() const { return parameters() - idle_parameters; }

  int64_t cache_numbers = 0;       // that a token leaves in this layer's own cache; 0: it has none
  int64_t kv_bytes_per_token = 0;  // the same in bytes, scales included
  int64_t state_bytes = 0;         // of a sequence, however long (linear attention)
  int64_t kv_bytes_held = 0;       // of a sequence of T tokens, state included
  double kv_bytes_read = 0;        // by a decoded token at depth T; a state is read and written

  int64_t slsd = 0, frh = 0, ter = 0;  // 0 for linear attention, which they are not defined for

  // Numbers that decoding reads: matrices without experts, one expert, vectors (norms, biases; always f32).
  int64_t matrix_numbers = 0, expert_numbers = 0, vector_numbers = 0;

  Flops decode;                         // one token that sees T tokens, itself included
  Flops prefill;                        // T tokens
  Flops train_forward, train_backward;  // T tokens; nothing stored is computed again but attention's probabilities
};

LayerCost layer_cost(const CostLayer& layer, const CostQuery& query);
LayerCost layer_sizes(const CostLayer& layer, const CostQuery& query);  // the same without FLOPs, which stay 0

// What stands around the layers: embedding, last norm, classifier.
struct OutsideCost {
  int64_t parameters = 0;                          // a tied classifier is the embedding
  int64_t matrix_numbers = 0, vector_numbers = 0;  // that decoding reads: classifier; norm and one embedding row
  Flops decode, prefill;                           // a prompt needs the classifier once
  Flops train_forward, train_backward;             // T tokens, each one scored
};
OutsideCost outside_cost(const CostModel& model, int64_t context);

// Every tensor of an attention layer: visit(name, rows, cols, role). Vectors have rows = 1; biases are told under their
// matrix's name.
enum class TensorRole { matrix, latent_up, value_mix, vector };
template <class Visit>
void visit_attention_tensors(const CostAttention& attention, int64_t width, Visit visit);

// Numbers, and int8 scales (one a vector and 64 of its numbers), that a token leaves in a cache of this attention.
int64_t cache_numbers(const CostAttention& attention);
int64_t cache_scales(const CostAttention& attention);

// Measures (docs/capacity.md). Keys and values that differ in dim: the smaller one.
int64_t shared_latent_subspace_dim(const CostAttention& attention, int64_t width);
int64_t factorization_rank_per_head(const CostAttention& attention, int64_t width);
int64_t total_effective_rank(const CostAttention& attention, int64_t width);

// Tokens that any of T tokens sees at most, that the last one sees, and that all T see together; window and chunk as
// in CostAttention.
int64_t visible_most(int64_t tokens, int64_t window, int64_t chunk = 0);
int64_t visible_last(int64_t tokens, int64_t window, int64_t chunk = 0);
double visible_sum(int64_t tokens, int64_t window, int64_t chunk = 0);

// --- implementation of the template ---------------------------------------------------------------------------------

template <class Visit>
void visit_attention_tensors(const CostAttention& a, int64_t width, Visit visit) {
  const int64_t q_out = a.n_heads * a.key_dim();
  const bool latent = a.key_source == KeySource::latent;
  visit(latent && a.q_rank > 0 ? "q_a_proj" : "q_proj", a.q_rank > 0 ? a.q_rank : q_out, width, TensorRole::matrix);
  const bool own_keys = a.owns_cache && a.key_source == KeySource::projection;
  const bool own_values = a.owns_cache && a.value_source == ValueSource::projection;
  if (latent && a.owns_cache) visit("kv_a_proj_with_mqa", a.kv_rank + a.rope_dim, width, TensorRole::matrix);
  if (own_keys) visit("k_proj", a.kv_heads * a.head_dim, width, TensorRole::matrix);
  if (own_values) visit("v_proj", a.kv_heads * a.value_dim, width, TensorRole::matrix);
  if (a.q_bias) visit("q_proj", 1, q_out, TensorRole::vector);
  if (a.kv_bias && own_keys) visit("k_proj", 1, a.kv_heads * a.head_dim, TensorRole::vector);
  if (a.kv_bias && own_values) visit("v_proj", 1, a.kv_heads * a.value_dim, TensorRole::vector);
  if (a.q_norm) visit(latent ? "q_a_layernorm" : "inter_norm", 1, a.q_rank, TensorRole::vector);
  if (a.q_rank > 0) visit(latent ? "q_b_proj" : "wq", q_out, a.q_rank, TensorRole::matrix);
  if (latent && a.owns_cache) {
    visit("kv_a_layernorm", 1, a.kv_rank, TensorRole::vector);
    visit("kv_b_proj", a.n_heads * (a.head_dim + a.value_dim), a.kv_rank, TensorRole::latent_up);
  }
  if (a.qk_norm && a.qk_norm_weights) visit("q_norm", 1, a.head_dim, TensorRole::vector);
  if (a.qk_norm && a.qk_norm_weights && own_keys) visit("k_norm", 1, a.head_dim, TensorRole::vector);
  if (a.owns_cache && a.value_source == ValueSource::key && a.reuse != KeyReuse::identity) {
    visit("value_mix", a.head_dim, a.head_dim, TensorRole::value_mix);
    if (a.reuse == KeyReuse::gated) visit("value_gate", 1, a.head_dim, TensorRole::vector);
  }
  const int64_t out = a.n_heads * a.value_dim;
  if (a.output_gate) visit("output_gate", out, width, TensorRole::matrix);
  if (a.output_norm) visit("norm", 1, out, TensorRole::vector);
  visit("o_proj", width, out, TensorRole::matrix);
  if (a.o_bias) visit("o_proj", 1, width, TensorRole::vector);
}

}  // namespace mfa
