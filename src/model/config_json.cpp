#include "model/config_json.h"

#include <algorithm>
#include <cmath>

#include "model/enum_names.h"

namespace mfa {
namespace {

constexpr int64_t kMost = 1 << 30;
// One number in a config must not become much memory: every layer gets a spec of its own, and its own frequencies.
constexpr int64_t kMostLayers = 10000, kMostFrequencies = 1 << 22;

bool alike(const ModelConfig& config) {
  LayerSpec first = config.layers[0];
  return std::all_of(config.layers.begin(), config.layers.end(), [&](LayerSpec layer) {
    layer.attention.preset = first.attention.preset;
    return layer == first && layer.cache_owner < 0;
  });
}

// LLaMA's family: dense queries, projected keys and values of one size, RoPE over whole heads.
Layout projected_layout(const ModelConfig& config) {
  const LayerSpec& layer = config.layers[0];
  const AttentionSpec& a = layer.attention;
  const bool plain = !a.qkv_bias && !a.o_bias && !config.ffn_bias;
  if (a.qk_norm) return plain && layer.window == 0 ? Layout::qwen3 : Layout::mfa_cpp;
  if (a.qkv_bias && !a.o_bias) return !config.ffn_bias && layer.window == 0 ? Layout::qwen2 : Layout::mfa_cpp;
  if (layer.window > 0) return plain ? Layout::mistral : Layout::mfa_cpp;
  if (a.qkv_bias != a.o_bias) return Layout::mfa_cpp;
  // transformers 5's LlamaConfig refuses a width that the number of heads does not divide; Mistral's does not.
  if (config.width % a.n_heads != 0) return plain ? Layout::mistral : Layout::mfa_cpp;
  return Layout::llama;
}

Json rope_parameters(const AttentionSpec& a) {
  RopeSpec rope = a.rope;
  if (rope.scaling == RopeScaling::ntk &&
      a.rotary_dim() > 2) {  // static NTK is a larger base, and transformers has no name for it
    const auto dim = static_cast<double>(a.rotary_dim());
    rope.theta *= std::pow(rope.factor, dim / (dim - 2));
    rope.scaling = RopeScaling::none;
  }
  return rope_to_json(rope);
}

void write_common(const ModelConfig& config, std::string_view dtype, Json& json) {
  const AttentionSpec& a = config.layers[0].attention;
  json["vocab_size"] = config.vocab;
  json["hidden_size"] = config.width;
  json["intermediate_size"] = config.layers[0].ffn;
  json["num_hidden_layers"] = config.n_layers();
  json["num_attention_heads"] = a.n_heads;
  json["num_key_value_heads"] = a.kv_heads;
  json["max_position_embeddings"] = config.context;
  json["rms_norm_eps"] = config.norm_eps;
  json["hidden_act"] = "silu";
  json["tie_word_embeddings"] = config.tied;
  json["bos_token_id"] = config.bos < 0 ? Json(nullptr) : Json(config.bos);
  json["eos_token_id"] = config.eos < 0 ? Json(nullptr) : Json(config.eos);
  json["dtype"] = dtype;
  json["torch_dtype"] = dtype;
}

void write_rope(const AttentionSpec& a, Json& json) {
  const Json rope = rope_parameters(a);
  json["rope_parameters"] = rope;
  json["rope_theta"] = rope["rope_theta"];
  if (rope["rope_type"] == "default") return;
  json["rope_scaling"] = rope;
  json["rope_scaling"].erase("rope_theta");
}

void write_deepseek(const ModelConfig& config, Json& json) {
  const AttentionSpec& a = config.layers[0].attention;
  json["q_lora_rank"] = a.q_rank > 0 ? Json(a.q_rank) : Json(nullptr);
  json["kv_lora_rank"] = a.kv_rank;
  json["qk_nope_head_dim"] = a.head_dim;
  json["qk_rope_head_dim"] = a.rope_dim;
  json["qk_head_dim"] = a.key_dim();
  json["head_dim"] = a.rope_dim;  // transformers takes RoPE's size from here
  json["v_head_dim"] = a.value_dim;
  json["rope_interleave"] = false;
  json["attention_bias"] = false;
  // A dense model: no layer reaches the experts, whose keys must be valid all the same.
  json["first_k_dense_replace"] = config.n_layers();
  json["num_nextn_predict_layers"] = 0;
  json["moe_intermediate_size"] = config.layers[0].ffn;
  json["n_routed_experts"] = 8;
  json["n_shared_experts"] = 1;
  json["num_experts_per_tok"] = 2;
  json["n_group"] = json["topk_group"] = 1;
}

void write_step3(const ModelConfig& config, Json& json) {
  const AttentionSpec& a = config.layers[0].attention;
  json["num_attention_groups"] = 1;
  json["head_dim"] = a.head_dim;
  json["share_q_dim"] = a.q_rank;
  json["max_seq_len"] = config.context;
  json["rope_theta"] = a.rope.theta;
  json["rope_scaling"] = nullptr;
  json["moe_layers_enum"] = "-1";  // no layer; vLLM cannot parse an empty list
}

int64_t read_size(const Json& json, std::string_view key, std::string_view where) {
  return get_int(json, key, where, 1, kMost);
}

void refuse(bool asked, std::string_view what, std::string_view where) {
  if (asked) bad_input("[config] {} asks for {}, which is not supported", where, what);
}

// RoPE over a part of the head's dims, as some Phi and GLM models have it.
void refuse_partial_rotary(const Json& json, std::string_view where) {
  const Json* parameters = find_member(json, "rope_parameters", where);
  double factor = find_double(json, "partial_rotary_factor", where).value_or(1);
  if (parameters != nullptr && parameters->is_object())
    factor = find_double(*parameters, "partial_rotary_factor", where).value_or(factor);
  refuse(factor != 1, "RoPE on a part of the dims", where);
}

ModelConfig read_common(const Json& json, std::string_view where) {
  ModelConfig config;
  config.vocab = read_size(json, "vocab_size", where);
  config.width = read_size(json, "hidden_size", where);
  config.context = find_int(json, "max_position_embeddings", where, 1, kMost).value_or(2048);
  config.norm_eps = find_double(json, "rms_norm_eps", where).value_or(1e-6);
  config.tied = find_bool(json, "tie_word_embeddings", where).value_or(false);
  const std::string act = find_string(json, "hidden_act", where).value_or("silu");
  refuse(act != "silu", "the activation " + act, where);
  refuse_partial_rotary(json, where);
  refuse(find_member(json, "quantization_config", where) != nullptr, "quantized weights (quantization_config)", where);
  const auto token = [&](const char* key) {
    const Json* value = find_member(json, key, where);
    if (value != nullptr && value->is_array()) value = value->empty() ? nullptr : &(*value)[0];
    return value == nullptr ? int64_t{-1} : as_int(*value, key, where, -1, kMost);
  };
  config.bos = token("bos_token_id");
  config.eos = token("eos_token_id");
  return config;
}

LayerSpec read_projected(const Json& json, std::string_view model_type, const ModelConfig& config,
                         std::string_view where) {
  LayerSpec layer;
  AttentionSpec& a = layer.attention;
  a.n_heads = read_size(json, "num_attention_heads", where);
  a.kv_heads = find_int(json, "num_key_value_heads", where, 1, kMost).value_or(a.n_heads);
  const int64_t usual_dim = model_type == "qwen3" ? 128 : std::max<int64_t>(1, config.width / a.n_heads);
  a.head_dim = a.value_dim = find_int(json, "head_dim", where, 1, kMost).value_or(usual_dim);
  a.preset = a.kv_heads == a.n_heads ? "mha" : a.kv_heads == 1 ? "mqa" : "gqa";
  a.rope = rope_from_json(json, where);
  const bool bias = find_bool(json, "attention_bias", where).value_or(false);
  a.qkv_bias = bias || model_type == "qwen2";
  a.o_bias = bias;
  a.qk_norm = model_type == "qwen3";
  // transformers' MistralConfig takes null as no window, but no key at all as 4096.
  if (model_type == "mistral")
    layer.window =
        find_int(json, "sliding_window", where, 1, kMost).value_or(json.contains("sliding_window") ? 0 : 4096);
  refuse(find_bool(json, "use_sliding_window", where).value_or(false), "a sliding window on some layers", where);
  layer.ffn = read_size(json, "intermediate_size", where);
  return layer;
}

LayerSpec read_deepseek(const Json& json, std::string_view where) {
  LayerSpec layer;
  AttentionSpec& a = layer.attention;
  a.preset = "mla";
  a.n_heads = a.kv_heads = read_size(json, "num_attention_heads", where);
  a.key_source = KeySource::latent;
  a.value_source = ValueSource::latent;
  a.q_rank = find_int(json, "q_lora_rank", where, 1, kMost).value_or(0);
  a.q_norm = a.q_rank > 0;
  a.kv_rank = read_size(json, "kv_lora_rank", where);
  a.head_dim = read_size(json, "qk_nope_head_dim", where);
  a.rope_dim = read_size(json, "qk_rope_head_dim", where);
  a.value_dim = read_size(json, "v_head_dim", where);
  a.rope = rope_from_json(json, where);
  refuse(find_bool(json, "attention_bias", where).value_or(false), "attention biases", where);
  refuse(find_bool(json, "mlp_bias", where).value_or(false), "biases in the feed-forward layers", where);
  const int64_t layers = read_size(json, "num_hidden_layers", where);
  refuse(find_int(json, "first_k_dense_replace", where).value_or(0) < layers, "experts", where);
  // The published code builds its latent norms with 1e-6 whatever the config says.
  refuse(find_double(json, "rms_norm_eps", where).value_or(1e-6) != 1e-6, "norms with an eps other than 1e-6", where);
  layer.ffn = read_size(json, "intermediate_size", where);
  return layer;
}

LayerSpec read_step3(const Json& json, std::string_view where) {
  LayerSpec layer;
  AttentionSpec& a = layer.attention;
  a.preset = "mfa";
  a.n_heads = read_size(json, "num_attention_heads", where);
  a.kv_heads = find_int(json, "num_attention_groups", where, 1, kMost).value_or(1);
  a.head_dim = a.value_dim = read_size(json, "head_dim", where);
  a.q_rank = read_size(json, "share_q_dim", where);
  a.q_norm = true;
  a.rope = rope_from_json(json, where);
  refuse(find_string(json, "moe_layers_enum", where).value_or("") != "-1", "experts", where);
  layer.ffn = read_size(json, "intermediate_size", where);
  return layer;
}

}  // namespace

Layout layout_of(const ModelConfig& config) {
  const AttentionSpec& a = config.layers[0].attention;
  const bool published = alike(config) && config.norm == ModelNorm::rms && a.position == PositionKind::rope &&
                         a.rope.frequencies.empty() && (a.rope.scaling != RopeScaling::ntk || a.rotary_dim() > 2);
  if (!published) return Layout::mfa_cpp;
  if (a.key_source == KeySource::latent) {
    const bool deepseek = config.norm_eps == 1e-6 && a.rope_dim > 0 && !a.o_bias && !config.ffn_bias &&
                          config.layers[0].window == 0 && (a.q_rank == 0 || a.q_norm);
    return deepseek ? Layout::deepseek_v3 : Layout::mfa_cpp;
  }
  if (a.key_source != KeySource::projection || a.value_source != ValueSource::projection || a.head_dim != a.value_dim)
    return Layout::mfa_cpp;
  if (a.q_rank == 0) return projected_layout(config);
  const bool step3 = a.q_norm && a.kv_heads == 1 && !config.tied && a.rope.scaling == RopeScaling::none && !a.qk_norm &&
                     !a.o_bias && !config.ffn_bias && config.layers[0].window == 0;
  return step3 ? Layout::step3 : Layout::mfa_cpp;
}

std::string_view architecture_of(Layout layout) {
  constexpr std::array<std::string_view, 7> names = {
      "LlamaForCausalLM",      "MistralForCausalLM",   "Qwen2ForCausalLM", "Qwen3ForCausalLM",
      "DeepseekV3ForCausalLM", "Step3TextForCausalLM", "MfaCppForCausalLM"};
  return names[static_cast<size_t>(layout)];
}

Json config_to_json(const ModelConfig& config, std::string_view dtype) {
  constexpr std::array<std::string_view, 7> types = {"llama",       "mistral",    "qwen2",  "qwen3",
                                                     "deepseek_v3", "step3_text", "mfa_cpp"};
  const Layout layout = layout_of(config);
  const AttentionSpec& a = config.layers[0].attention;
  Json json;
  json["architectures"] = Json::array({architecture_of(layout)});
  json["model_type"] = types[static_cast<size_t>(layout)];
  write_common(config, dtype, json);
  switch (layout) {
    case Layout::mfa_cpp:
      json["spec"] = spec_to_json(config);
      return json;
    case Layout::deepseek_v3:
      write_deepseek(config, json);
      break;
    case Layout::step3:
      write_step3(config, json);
      return json;
    case Layout::llama:
      json["attention_bias"] = a.qkv_bias;
      json["mlp_bias"] = config.ffn_bias;
      break;
    case Layout::mistral:
      json["sliding_window"] = config.layers[0].window > 0 ? Json(config.layers[0].window) : Json(nullptr);
      break;
    case Layout::qwen3:
      json["attention_bias"] = false;
      [[fallthrough]];
    case Layout::qwen2:
      json["use_sliding_window"] = false;
      break;
  }
  if (layout != Layout::deepseek_v3) json["head_dim"] = a.head_dim;
  write_rope(a, json);
  return json;
}

ModelConfig config_from_json(const Json& json, std::string_view where) {
  const std::string type = get_string(json, "model_type", where);
  if (type == "mfa_cpp") {
    ModelConfig config = spec_from_json(get_object(json, "spec", where), where);
    validate(config);
    return config;
  }
  ModelConfig config = read_common(json, where);
  LayerSpec layer;
  if (type == "llama" || type == "mistral" || type == "qwen2" || type == "qwen3") {
    layer = read_projected(json, type, config, where);
    config.ffn_bias = find_bool(json, "mlp_bias", where).value_or(false);
  } else if (type == "deepseek_v2" || type == "deepseek_v3") {
    layer = read_deepseek(json, where);
  } else if (type == "step3_text") {
    layer = read_step3(json, where);
  } else {
    bad_input(
        "[config] {}: unknown model_type, got {}, expected llama, mistral, qwen2, qwen3, deepseek_v2, deepseek_v3, "
        "step3_text or mfa_cpp",
        where, type);
  }
  const int64_t layers = get_int(json, "num_hidden_layers", where, 1, kMostLayers);
  refuse(static_cast<int64_t>(layer.attention.rope.frequencies.size()) > kMostFrequencies / layers,
         "more than 4 million rotary frequencies", where);
  config.layers.assign(static_cast<size_t>(layers), layer);
  validate(config);
  return config;
}

bool rotates_neighbours(const Json& json, std::string_view where) {
  const std::string type = get_string(json, "model_type", where);
  if (type == "deepseek_v2") return true;
  return type == "deepseek_v3" && find_bool(json, "rope_interleave", where).value_or(true);
}

}  // namespace mfa
