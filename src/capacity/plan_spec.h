// One candidate of the planner: the sizes of attention and FFN, alike in all layers. Plain numbers, so that hundreds of
// thousands of them can be made, counted and thrown away without an allocation.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "model/presets.h"

namespace mfa {

// In the order of preset_names().
enum class Variant : int32_t { mha, mqa, gqa, mla, mfa, mfa_kr, fpba };
inline constexpr size_t kVariants = 7;

std::string_view name_of(Variant variant);
Variant parse_variant(std::string_view name);  // BadInput lists the names there are

struct PlanSpec {
  Variant variant = Variant::mha;
  int32_t width = 0;
  int32_t heads = 0, kv_heads = 0;
  int32_t head_dim = 0;               // of mfa and mfa-kr: C
  int32_t q_rank = 0;                 // 0: dense query
  int32_t kv_rank = 0, rope_dim = 0;  // mla
  int32_t ffn = 0;
  auto operator<=>(const PlanSpec&) const = default;
};

// The attention of `variant` in a model like `shape`, whose sizes are then set spec by spec.
AttentionSpec plan_attention(Variant variant, const PresetOptions& shape);

// The sizes of a spec into an AttentionSpec, or into the CostAttention that is counted.
template <class Attention>
void set_sizes(const PlanSpec& spec, Attention& attention) {
  attention.n_heads = spec.heads;
  attention.kv_heads = spec.kv_heads;
  attention.head_dim = attention.value_dim = spec.head_dim;
  attention.q_rank = spec.q_rank;
  if (spec.variant == Variant::mla) attention.q_norm = spec.q_rank > 0;  // DeepSeek: the norm of the query's latent
  attention.kv_rank = spec.kv_rank;
  attention.rope_dim = spec.rope_dim;
}

// The whole model: what `mfa train --config` takes. Everything that a PlanSpec does not say (layers, vocabulary, norms,
// position, sharing of caches) is the shape's.
ModelConfig plan_config(const PlanSpec& spec, const PresetOptions& shape);

// "26 × 256, rank 256": heads × head dim, and what else makes this variant's spec.
std::string sizes_text(const PlanSpec& spec);

}  // namespace mfa
