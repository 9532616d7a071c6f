#include "capacity/foreign_config.h"

#include <algorithm>
#include <array>

#include "capacity/foreign_family.h"
#include "model/config_json.h"

namespace mfa {
namespace foreign {

CostAttention projected_attention(const Json& json, int64_t width, std::string_view where) {
  CostAttention a;
  a.n_heads = size(json, "num_attention_heads", where);
  a.kv_heads = find_int(json, "num_key_value_heads", where, 1, kMostSize).value_or(a.n_heads);
  if (a.n_heads % a.kv_heads != 0)
    bad_input("[{}] num_attention_heads, got {}, expected a multiple of the {} KV heads", where, a.n_heads, a.kv_heads);
  a.head_dim = a.value_dim =
      find_int(json, "head_dim", where, 1, kMostSize).value_or(std::max<int64_t>(1, width / a.n_heads));
  a.rotary_dim = a.head_dim;
  if (const auto part = find_double(json, "partial_rotary_factor", where, 0, 1))
    a.rotary_dim = static_cast<int64_t>(*part * static_cast<double>(a.head_dim));
  if (const auto dims = find_int(json, "rotary_dim", where, 0, a.head_dim)) a.rotary_dim = *dims;
  return a;
}

std::string_view name_of_attention(const CostAttention& a) {
  if (a.linear) return "linear";
  if (a.key_source == KeySource::latent) return "mla";
  if (a.q_rank > 0) return "mfa";
  return a.kv_heads == a.n_heads ? "mha" : a.kv_heads == 1 ? "mqa" : "gqa";
}

CostAttention latent_attention(const Json& json, std::string_view where) {
  CostAttention a;
  a.key_source = KeySource::latent;
  a.value_source = ValueSource::latent;
  a.n_heads = a.kv_heads = size(json, "num_attention_heads", where);
  a.q_rank = find_int(json, "q_lora_rank", where, 1, kMostSize).value_or(0);
  a.q_norm = a.q_rank > 0;
  a.kv_rank = size(json, "kv_lora_rank", where);
  a.head_dim = size(json, "qk_nope_head_dim", where);
  a.rope_dim = a.rotary_dim = size(json, "qk_rope_head_dim", where);
  a.value_dim = size(json, "v_head_dim", where);
  if (flag_or(json, "attention_bias", where, false))
    bad_input("[{}] attention_bias with latent attention cannot be judged", where);
  return a;
}

std::vector<std::string> layer_types(const Json& json, int64_t layers, std::string_view where) {
  std::vector<std::string> types;
  if (find_member(json, "layer_types", where) == nullptr) return types;
  constexpr std::array<std::string_view, 4> known = {"full_attention", "sliding_attention", "chunked_attention",
                                                     "linear_attention"};
  for (const Json& item : get_array(json, "layer_types", where)) {
    const std::string type = item.is_string() ? item.get<std::string>() : item.dump();
    if (std::find(known.begin(), known.end(), type) == known.end())
      bad_input("[{}] layers of type {} cannot be judged, expected {}", where, type, fmt::join(known, ", "));
    types.push_back(type);
  }
  if (static_cast<int64_t>(types.size()) != layers)
    bad_input("[{}] layer_types, got {} of them, expected {}", where, types.size(), layers);
  return types;
}

}  // namespace foreign

namespace {

using Reader = void (*)(const Json&, std::string_view, int64_t, std::string_view, CostModel&);
struct Family {
  std::string_view model_type;
  Reader read;
  bool tied = false;  // when the config does not say
};

constexpr std::array kFamilies = {
    Family{"llama", foreign::read_dense},
    Family{"mistral", foreign::read_dense},
    Family{"qwen2", foreign::read_dense},
    Family{"qwen3", foreign::read_dense},
    Family{"ernie4_5", foreign::read_dense, true},
    Family{"mixtral", foreign::read_experts},
    Family{"qwen2_moe", foreign::read_experts},
    Family{"qwen3_moe", foreign::read_experts},
    Family{"ernie4_5_moe", foreign::read_experts, true},
    Family{"PanguProMoE", foreign::read_experts},
    Family{"deepseek_v2", foreign::read_deepseek},
    Family{"deepseek_v3", foreign::read_deepseek},
    Family{"kimi_k2", foreign::read_deepseek},
    Family{"step3_text", foreign::read_step3},
    Family{"minimax_m1", foreign::read_minimax},
    Family{"minimax_text_01", foreign::read_minimax},
    Family{"minimax", foreign::read_minimax},
    Family{"gemma", foreign::read_gemma, true},
    Family{"gemma2", foreign::read_gemma, true},
    Family{"gemma3_text", foreign::read_gemma, true},
    Family{"llama4_text", foreign::read_llama4},
};

void note_what_is_left_out(const Json& json, std::string_view where, CostModel& model) {
  if (const auto layers = find_int(json, "num_nextn_predict_layers", where); layers.value_or(0) > 0)
    model.notes.push_back(fmt::format("{} layer(s) that predict further tokens are left out", *layers));
  if (find_member(json, "quantization_config", where) != nullptr)
    model.notes.emplace_back("weights are counted in one type, not as quantization_config stores them");
}

// Kinds of layer that no code of ours computes, by name.
std::vector<std::string_view> kinds_not_run(const CostModel& model) {
  const auto any = [&](auto has) { return std::any_of(model.layers.begin(), model.layers.end(), has); };
  std::vector<std::string_view> kinds;
  if (any([](const CostLayer& l) { return l.ffn.experts > 0; })) kinds.emplace_back("experts");
  if (any([](const CostLayer& l) { return l.attention.chunk > 0; })) kinds.emplace_back("chunked attention");
  if (any([](const CostLayer& l) { return l.attention.linear; })) kinds.emplace_back("linear-attention states");
  if (any([](const CostLayer& l) { return l.ffn.activation == Activation::geglu; })) kinds.emplace_back("GELU gates");
  if (any([](const CostLayer& l) { return l.norms > 2; })) kinds.emplace_back("norms behind layers");
  if (any([](const CostLayer& l) { return l.attention.soft_cap; })) kinds.emplace_back("soft caps");
  if (any([](const CostLayer& l) { return l.scaled_residual; })) kinds.emplace_back("scaled residuals");
  return kinds;
}

void name_attention(CostModel& model) {
  std::vector<std::string_view> seen;
  for (const CostLayer& layer : model.layers) {
    const std::string_view name = foreign::name_of_attention(layer.attention);
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) continue;
    seen.push_back(name);
    model.attention += (model.attention.empty() ? "" : "+") + std::string(name);
  }
}

CostModel read_family(const Json& json, std::string_view where) {
  const std::string type = get_string(json, "model_type", where);
  const auto family =
      std::find_if(kFamilies.begin(), kFamilies.end(), [&](const Family& f) { return f.model_type == type; });
  if (family == kFamilies.end())
    bad_input("[{}] model_type {} cannot be judged, expected mfa_cpp, {}", where, type,
              fmt::join(counted_model_types(), ", "));
  CostModel model;
  model.runs = false;
  model.width = foreign::size(json, "hidden_size", where);
  model.vocab = get_int(json, "vocab_size", where, 1, 1 << 26);
  constexpr int64_t kMostContext = int64_t{1} << 30;
  // Step-3 writes the key without its s.
  const auto context = find_int(json, "max_position_embeddings", where, 1, kMostContext);
  model.context = context ? *context : find_int(json, "max_position_embedding", where, 1, kMostContext).value_or(2048);
  model.tied = foreign::flag_or(json, "tie_word_embeddings", where, family->tied);
  const int64_t layers = get_int(json, "num_hidden_layers", where, 1, foreign::kMostLayers);
  family->read(json, type, layers, where, model);
  name_attention(model);
  note_what_is_left_out(json, where, model);
  return model;
}

}  // namespace

std::vector<std::string_view> counted_model_types() {
  std::vector<std::string_view> types;
  for (const Family& family : kFamilies) types.push_back(family.model_type);
  return types;
}

CostModel cost_model_from_json(const Json& json, std::string_view where) {
  if (const Json* text = find_member(json, "text_config", where)) {
    CostModel model = cost_model_from_json(*text, where);
    model.notes.emplace_back("only text_config is counted; images and sound are left out");
    return model;
  }
  std::string refusal;
  try {
    return cost_model(config_from_json(json, where));
  } catch (const BadInput& error) {
    refusal = error.what();
  }
  // What our layers do not compute may still be counted. A config that is broken is refused again, by the family.
  if (find_string(json, "model_type", where).value_or("") == "mfa_cpp") throw BadInput(refusal);
  CostModel model = read_family(json, where);
  const std::vector<std::string_view> kinds = kinds_not_run(model);
  model.notes.insert(model.notes.begin(), kinds.empty() ? "counted, not run: " + refusal
                                                        : fmt::format("counted, not run: {}", fmt::join(kinds, ", ")));
  return model;
}

}  // namespace mfa
