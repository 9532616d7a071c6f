// Families with experts behind plain attention: Mixtral, Qwen2-MoE, Qwen3-MoE, ERNIE 4.5, Pangu Pro MoE; and
// DeepSeek's, with latent attention.
#include "capacity/foreign_family.h"

namespace mfa::foreign {
namespace {

void check_choice(const CostFfn& f, std::string_view where) {
  if (f.top_k < 1 || f.top_k > f.experts)
    bad_input("[{}] experts chosen a token, got {}, expected 1 to {}", where, f.top_k, f.experts);
}

// The keys that each family has for the same things.
CostFfn qwen_experts(const Json& json, std::string_view type, std::string_view where) {
  CostFfn f;
  f.experts = size(json, "num_experts", where);
  f.top_k = size(json, "num_experts_per_tok", where);
  f.expert_width = size(json, "moe_intermediate_size", where);
  f.normalize_top_k = flag_or(json, "norm_topk_prob", where, false);
  if (type == "qwen3_moe") return f;
  f.shared_width = size_or(json, "shared_expert_intermediate_size", where, 0);
  f.shared_gate = type == "qwen2_moe";
  f.router_bias = type == "PanguProMoE";  // a factor for each expert's score, which costs as much as a term
  return f;
}

CostFfn mixtral_experts(const Json& json, std::string_view where) {
  CostFfn f;
  f.experts = size(json, "num_local_experts", where);
  f.top_k = size(json, "num_experts_per_tok", where);
  f.expert_width = size(json, "intermediate_size", where);
  f.normalize_top_k = true;
  return f;
}

CostFfn ernie_experts(const Json& json, std::string_view where) {
  CostFfn f;
  f.experts = size(json, "moe_num_experts", where);
  f.top_k = size(json, "moe_k", where);
  f.expert_width = size(json, "moe_intermediate_size", where);
  f.shared_width = f.expert_width * size_or(json, "moe_num_shared_experts", where, 0);
  f.router_bias = true;
  f.normalize_top_k = true;
  return f;
}

bool in_list(const Json& json, std::string_view key, int64_t i, std::string_view where) {
  if (find_member(json, key, where) == nullptr) return false;
  for (const Json& item : get_array(json, key, where))
    if (as_int(item, key, where, 0, kMostLayers) == i) return true;
  return false;
}

bool has_experts(const Json& json, std::string_view type, int64_t i, int64_t layers, std::string_view where) {
  if (type == "ernie4_5_moe") {
    const int64_t first = size_or(json, "moe_layer_start_index", where, 0);
    const int64_t last = find_int(json, "moe_layer_end_index", where, -1, kMostLayers).value_or(-1);
    const int64_t step = find_int(json, "moe_layer_interval", where, 1, kMostLayers).value_or(1);
    return (i + 1) % step == 0 && i >= first && i <= (last < 0 ? layers - 1 : last);
  }
  if (type == "mixtral" || type == "PanguProMoE") return !in_list(json, "mlp_only_layers", i, where);
  const int64_t step = find_int(json, "decoder_sparse_step", where, 1, kMostLayers).value_or(1);
  return (i + 1) % step == 0 && !in_list(json, "mlp_only_layers", i, where);
}

}  // namespace

void read_experts(const Json& json, std::string_view type, int64_t layers, std::string_view where, CostModel& model) {
  CostLayer layer;
  layer.attention = projected_attention(json, model.width, where);
  CostAttention& a = layer.attention;
  const bool bias = flag_or(json, type == "ernie4_5_moe" ? "use_bias" : "attention_bias", where, false);
  a.q_bias = a.kv_bias = type == "qwen2_moe"     ? flag_or(json, "qkv_bias", where, true)
                         : type == "PanguProMoE" ? flag_or(json, "qkv_bias", where, bias)
                                                 : bias;
  a.o_bias = bias && type != "qwen2_moe";
  a.qk_norm = type == "qwen3_moe";
  if (const int64_t window = size_or(json, "sliding_window", where, 0);
      window > 0 && (type == "mixtral" || flag_or(json, "use_sliding_window", where, false))) {
    a.window = window;
    a.evicts = true;
  }
  const CostFfn experts = type == "ernie4_5_moe" ? ernie_experts(json, where)
                          : type == "mixtral"    ? mixtral_experts(json, where)
                                                 : qwen_experts(json, type, where);
  check_choice(experts, where);
  for (int64_t i = 0; i < layers; ++i) {
    layer.ffn = experts;
    if (!has_experts(json, type, i, layers, where)) {
      layer.ffn = {};
      layer.ffn.width = size(json, "intermediate_size", where);
      layer.ffn.bias = type == "ernie4_5_moe" && bias;
    }
    model.layers.push_back(layer);
  }
}

void read_deepseek(const Json& json, std::string_view type, int64_t layers, std::string_view where, CostModel& model) {
  CostLayer layer;
  layer.attention = latent_attention(json, where);
  CostFfn experts;
  const int64_t dense_layers = find_int(json, "first_k_dense_replace", where, 0, kMostLayers).value_or(0);
  if (dense_layers < layers) {
    experts.experts = size(json, "n_routed_experts", where);
    experts.top_k = size(json, "num_experts_per_tok", where);
    experts.expert_width = size(json, "moe_intermediate_size", where);
    experts.shared_width = experts.expert_width * size_or(json, "n_shared_experts", where, 0);
    experts.normalize_top_k = flag_or(json, "norm_topk_prob", where, type != "deepseek_v2");
    experts.score = type == "deepseek_v2" ? RouterScore::softmax : RouterScore::sigmoid;
    experts.router_bias = type != "deepseek_v2";
    check_choice(experts, where);
  }
  const int64_t step = find_int(json, "moe_layer_freq", where, 1, kMostLayers).value_or(1);
  for (int64_t i = 0; i < layers; ++i) {
    layer.ffn = experts;
    if (i < dense_layers || i % step != 0) {
      layer.ffn = {};
      layer.ffn.width = size(json, "intermediate_size", where);
    }
    model.layers.push_back(layer);
  }
}

}  // namespace mfa::foreign
