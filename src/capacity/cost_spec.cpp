#include "capacity/cost_spec.h"

#include <algorithm>

namespace mfa {

CostAttention cost_attention(const AttentionSpec& spec, int64_t window, bool owns_cache) {
  CostAttention a;
  a.key_source = spec.key_source;
  a.value_source = spec.value_source;
  a.reuse = spec.reuse;
  a.reuse_at = spec.reuse_at;
  a.n_heads = spec.n_heads;
  a.kv_heads = spec.kv_heads;
  a.head_dim = spec.head_dim;
  a.value_dim = spec.value_dim;
  a.q_rank = spec.q_rank;
  a.kv_rank = spec.kv_rank;
  a.rope_dim = spec.rope_dim;
  a.rotary_dim = spec.rotary_dim();
  a.alibi = spec.position == PositionKind::alibi;
  a.q_norm = spec.q_norm;
  a.qk_norm = spec.qk_norm;
  a.q_bias = a.kv_bias = spec.qkv_bias;
  a.o_bias = spec.o_bias;
  a.owns_cache = owns_cache;
  a.window = window;
  return a;
}

CostLayer cost_layer(const ModelConfig& config, int64_t i) {
  const LayerSpec& layer = config.layers[static_cast<size_t>(i)];
  CostLayer cost;
  cost.attention = cost_attention(layer.attention, layer.window, config.owns_cache(i));
  cost.ffn.width = layer.ffn;
  cost.ffn.bias = config.ffn_bias;
  cost.norm = config.norm;
  return cost;
}

CostModel cost_model(const ModelConfig& config) {
  CostModel model;
  model.width = config.width;
  model.vocab = config.vocab;
  model.context = config.context;
  model.norm = config.norm;
  model.tied = config.tied;
  model.layers.reserve(config.layers.size());
  std::vector<std::string_view> presets;
  for (int64_t i = 0; i < config.n_layers(); ++i) {
    model.layers.push_back(cost_layer(config, i));
    const std::string& preset = config.layers[static_cast<size_t>(i)].attention.preset;
    if (std::find(presets.begin(), presets.end(), preset) != presets.end()) continue;
    presets.push_back(preset);
    model.attention += (model.attention.empty() ? "" : "+") + preset;
  }
  return model;
}

}  // namespace mfa
