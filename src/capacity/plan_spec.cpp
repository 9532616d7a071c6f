#include "capacity/plan_spec.h"

#include <algorithm>

#include "base/error.h"

namespace mfa {

std::string_view name_of(Variant variant) { return preset_names()[static_cast<size_t>(variant)]; }

Variant parse_variant(std::string_view name) {
  const auto names = preset_names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end())
    bad_input("[plan] unknown variant, got {}, expected some of {}", name, fmt::join(names, ", "));
  return static_cast<Variant>(found - names.begin());
}

namespace {

// The preset's own sizes, and of what all specs share only what the variant can have.
PresetOptions options_of(Variant variant, const PresetOptions& shape) {
  PresetOptions options = shape;
  options.heads = options.kv_heads = options.head_dim = options.q_rank = options.kv_rank = options.rope_dim = 0;
  options.qk_norm &= variant != Variant::mla && variant != Variant::fpba;
  options.qkv_bias &= variant <= Variant::gqa;
  return options;
}

}  // namespace

AttentionSpec plan_attention(Variant variant, const PresetOptions& shape) {
  PresetOptions options = options_of(variant, shape);
  options.layers = 1;
  return make_preset(name_of(variant), options).layers[0].attention;
}

ModelConfig plan_config(const PlanSpec& spec, const PresetOptions& shape) {
  PresetOptions options = options_of(spec.variant, shape);
  options.width = spec.width;
  options.ffn = spec.ffn;
  ModelConfig config = make_preset(name_of(spec.variant), options);
  for (LayerSpec& layer : config.layers) set_sizes(spec, layer.attention);
  validate(config);
  return config;
}

std::string sizes_text(const PlanSpec& spec) {
  std::string text = fmt::format("{} × {}", spec.heads, spec.head_dim);
  if (spec.variant == Variant::gqa) text += fmt::format(", {} KV", spec.kv_heads);
  if (spec.variant == Variant::mla) text += fmt::format(", latent {} + {}", spec.kv_rank, spec.rope_dim);
  if (spec.q_rank > 0) text += fmt::format(", rank {}", spec.q_rank);
  return text;
}

}  // namespace mfa
