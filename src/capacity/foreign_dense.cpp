// Families without experts: LLaMA, Mistral, Qwen2, Qwen3, ERNIE 4.5, Gemma.
#include "capacity/foreign_family.h"

namespace mfa::foreign {
namespace {

void require_activation(const Json& json, std::string_view key, std::string_view expected, std::string_view where) {
  const std::string act = find_string(json, key, where).value_or(std::string(expected));
  if (act != expected) bad_input("[{}] {} {} cannot be judged, expected {}", where, key, act, expected);
}

// Which layers have a sliding window: layer_types, or Qwen's "from layer max_window_layers on", or Mistral's "all".
void set_windows(const Json& json, std::string_view type, std::string_view where, CostModel& model) {
  const auto layers = static_cast<int64_t>(model.layers.size());
  const int64_t window = size_or(json, "sliding_window", where, 0);
  if (window == 0) return;
  const std::vector<std::string> types = layer_types(json, layers, where);
  const bool used = type == "mistral" || flag_or(json, "use_sliding_window", where, false);
  const int64_t first = type == "mistral" ? 0 : size_or(json, "max_window_layers", where, layers);
  for (int64_t i = 0; i < layers; ++i) {
    const bool sliding = types.empty() ? used && i >= first : types[static_cast<size_t>(i)] == "sliding_attention";
    if (!sliding) continue;
    model.layers[static_cast<size_t>(i)].attention.window = window;
    model.layers[static_cast<size_t>(i)].attention.evicts = true;
  }
}

}  // namespace

void read_dense(const Json& json, std::string_view type, int64_t layers, std::string_view where, CostModel& model) {
  require_activation(json, "hidden_act", "silu", where);
  CostLayer layer;
  layer.attention = projected_attention(json, model.width, where);
  CostAttention& a = layer.attention;
  if (type == "qwen3" && find_member(json, "head_dim", where) == nullptr)
    a.head_dim = a.value_dim = a.rotary_dim = 128;  // the published code's own default
  const bool bias = flag_or(json, type == "ernie4_5" ? "use_bias" : "attention_bias", where, false);
  a.q_bias = a.kv_bias = bias || type == "qwen2";
  a.o_bias = bias;
  a.qk_norm = type == "qwen3";
  layer.ffn.width = size(json, "intermediate_size", where);
  layer.ffn.bias = type == "ernie4_5" ? bias : flag_or(json, "mlp_bias", where, false);
  model.layers.assign(static_cast<size_t>(layers), layer);
  set_windows(json, type, where, model);
}

// Gemma: heads of 256, GELU gates, a tied and scaled embedding; 2 adds norms behind each layer, soft caps and every
// second layer's window; 3 has no caps, q and k norms, and a window on five layers of six.
void read_gemma(const Json& json, std::string_view type, int64_t layers, std::string_view where, CostModel& model) {
  const bool first = type == "gemma", second = type == "gemma2";
  // Gemma's own configs say hidden_activation, or gelu under the old key, and mean the form by tanh either way.
  const bool old_key = find_member(json, "hidden_activation", where) == nullptr;
  const std::string act = find_string(json, old_key ? "hidden_act" : "hidden_activation", where).value_or("gelu");
  if (act != "gelu" && act != "gelu_pytorch_tanh")
    bad_input("[{}] the activation {} cannot be judged, expected gelu_pytorch_tanh", where, act);
  CostLayer layer;
  layer.attention = projected_attention(json, model.width, where);
  CostAttention& a = layer.attention;
  if (find_member(json, "head_dim", where) == nullptr) a.head_dim = a.value_dim = a.rotary_dim = 256;
  a.q_bias = a.kv_bias = a.o_bias = flag_or(json, "attention_bias", where, false);
  a.qk_norm = !first && !second;
  a.soft_cap = find_double(json, "attn_logit_softcapping", where).value_or(0) > 0;
  layer.ffn.width = size(json, "intermediate_size", where);
  layer.ffn.activation = Activation::geglu;
  layer.norms = first ? 2 : 4;
  model.scaled_embedding = true;
  model.final_soft_cap = find_double(json, "final_logit_softcapping", where).value_or(0) > 0;
  model.layers.assign(static_cast<size_t>(layers), layer);
  if (first) return;
  const int64_t window = size(json, "sliding_window", where);
  const int64_t pattern = second ? 2 : find_int(json, "sliding_window_pattern", where, 1, kMostLayers).value_or(6);
  const std::vector<std::string> types = layer_types(json, layers, where);
  for (int64_t i = 0; i < layers; ++i) {
    const bool sliding = types.empty() ? (i + 1) % pattern != 0 : types[static_cast<size_t>(i)] == "sliding_attention";
    CostAttention& attention = model.layers[static_cast<size_t>(i)].attention;
    attention.window = sliding ? window : 0;
    attention.evicts = sliding;
  }
}

}  // namespace mfa::foreign
