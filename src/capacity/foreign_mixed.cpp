// Families whose layers differ from each other: Step-3 (dense and expert layers by a list), Llama-4 (chunked and full
// attention), MiniMax-Text-01 and M1 (linear and softmax attention).
#include <charconv>
#include <set>

#include "capacity/foreign_family.h"

namespace mfa::foreign {
namespace {

// "4,5,6" or [4, 5, 6]; "-1" and "" are none.
std::set<int64_t> layer_list(const Json& json, std::string_view key, std::string_view where) {
  std::set<int64_t> list;
  const Json* value = find_member(json, key, where);
  if (value == nullptr) return list;
  if (value->is_array()) {
    for (const Json& item : *value) list.insert(as_int(item, key, where, -1, kMostLayers));
    return list;
  }
  const std::string text = get_string(json, key, where);
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find(',', at);
    if (end == std::string::npos) end = text.size();
    int64_t layer = 0;
    const auto [rest, error] = std::from_chars(text.data() + at, text.data() + end, layer);
    if (error != std::errc() || rest != text.data() + end || layer < -1 || layer > kMostLayers)
      bad_input("[{}] {}, got {}, expected layers with commas between", where, key, text);
    list.insert(layer);
    at = end + 1;
  }
  return list;
}

}  // namespace

void read_step3(const Json& json, std::string_view, int64_t layers, std::string_view where, CostModel& model) {
  CostLayer layer;
  CostAttention& a = layer.attention;
  a.n_heads = size(json, "num_attention_heads", where);
  a.kv_heads = find_int(json, "num_attention_groups", where, 1, kMostSize).value_or(1);
  a.head_dim = a.value_dim = a.rotary_dim = size(json, "head_dim", where);
  a.q_rank = size(json, "share_q_dim", where);
  a.q_norm = true;
  const std::set<int64_t> expert_layers = layer_list(json, "moe_layers_enum", where);
  for (int64_t i = 0; i < layers; ++i) {
    layer.ffn = {};
    if (expert_layers.contains(i)) {
      layer.ffn.experts = size(json, "moe_num_experts", where);
      layer.ffn.top_k = get_int(json, "moe_top_k", where, 1, layer.ffn.experts);
      layer.ffn.expert_width = size(json, "moe_intermediate_size", where);
      layer.ffn.shared_width = size_or(json, "share_expert_dim", where, 0);
      layer.ffn.normalize_top_k = flag_or(json, "norm_expert_weight", where, false);
    } else {
      layer.ffn.width = size(json, "intermediate_size", where);
    }
    model.layers.push_back(layer);
  }
}

// Three layers of four see chunks and rotate; the fourth sees all and does not. Every interleave_moe_layer_step-th
// layer has experts, one chosen by a sigmoid beside one that all tokens meet.
void read_llama4(const Json& json, std::string_view, int64_t layers, std::string_view where, CostModel& model) {
  CostLayer layer;
  const CostAttention attention = projected_attention(json, model.width, where);
  const int64_t chunk = size(json, "attention_chunk_size", where);
  const int64_t interval = find_int(json, "no_rope_layer_interval", where, 1, kMostLayers).value_or(4);
  const int64_t step = find_int(json, "interleave_moe_layer_step", where, 1, kMostLayers).value_or(1);
  const bool listed = find_member(json, "moe_layers", where) != nullptr;
  const std::set<int64_t> moe_layers = layer_list(json, "moe_layers", where);
  const Json* rotated = find_member(json, "no_rope_layers", where);  // 1: the layer rotates, despite the name
  const bool has_list = rotated != nullptr && rotated->is_array() && !rotated->empty();
  if (has_list && static_cast<int64_t>(rotated->size()) != layers)
    bad_input("[{}] no_rope_layers, got {} of them, expected {}", where, rotated->size(), layers);
  for (int64_t i = 0; i < layers; ++i) {
    const bool local = has_list ? as_int((*rotated)[static_cast<size_t>(i)], "no_rope_layers", where, 0, 1) == 1
                                : (i + 1) % interval != 0;
    layer.attention = attention;
    layer.attention.rotary_dim = local ? attention.rotary_dim : 0;
    layer.attention.chunk = local ? chunk : 0;
    layer.attention.evicts = local;
    layer.attention.report_kv_bytes = local ? 1 : 2;
    layer.attention.qk_norm = local && flag_or(json, "use_qk_norm", where, true);
    layer.attention.qk_norm_weights = false;
    layer.ffn = {};
    if (listed ? moe_layers.contains(i) : (i + 1) % step == 0) {
      layer.ffn.experts = size(json, "num_local_experts", where);
      layer.ffn.top_k = get_int(json, "num_experts_per_tok", where, 1, layer.ffn.experts);
      layer.ffn.expert_width = layer.ffn.shared_width = size(json, "intermediate_size", where);
      layer.ffn.score = RouterScore::sigmoid;
    } else {
      layer.ffn.width = size(json, "intermediate_size_mlp", where);
    }
    model.layers.push_back(layer);
  }
}

// A linear layer keeps a state [head_dim, head_dim] a head, and norms and gates its heads' outputs; softmax layers are
// grouped-query attention, half rotated. Both add to the stream with factors.
void read_minimax(const Json& json, std::string_view, int64_t layers, std::string_view where, CostModel& model) {
  CostLayer layer;
  const CostAttention softmax = projected_attention(json, model.width, where);
  CostAttention linear = softmax;
  linear.linear = linear.output_norm = linear.output_gate = true;
  linear.kv_heads = linear.n_heads;
  linear.rotary_dim = 0;
  layer.scaled_residual = true;
  layer.ffn.experts = size(json, "num_local_experts", where);
  layer.ffn.top_k = get_int(json, "num_experts_per_tok", where, 1, layer.ffn.experts);
  layer.ffn.expert_width = size(json, "intermediate_size", where);
  layer.ffn.shared_width = size_or(json, "shared_intermediate_size", where, 0);
  layer.ffn.normalize_top_k = true;
  const std::vector<std::string> types = layer_types(json, layers, where);
  const Json* list = types.empty() ? &get_array(json, "attn_type_list", where) : nullptr;
  if (list != nullptr && static_cast<int64_t>(list->size()) != layers)
    bad_input("[{}] attn_type_list, got {} of them, expected {}", where, list->size(), layers);
  for (size_t i = 0; i < static_cast<size_t>(layers); ++i) {
    const bool is_linear =
        list != nullptr ? as_int((*list)[i], "attn_type_list", where, 0, 1) == 0 : types[i] == "linear_attention";
    layer.attention = is_linear ? linear : softmax;
    layer.attention.report_kv_bytes = 2;
    model.layers.push_back(layer);
  }
}

}  // namespace mfa::foreign
