// The spec itself as JSON, field by field, and RoPE as transformers writes it.
#include "model/config_json.h"
#include "model/enum_names.h"

namespace mfa {
namespace {

constexpr int64_t kMost = int64_t{1} << 40;

Json attention_to_json(const AttentionSpec& a) {
  Json json = {{"preset", a.preset},
               {"n_heads", a.n_heads},
               {"kv_heads", a.kv_heads},
               {"head_dim", a.head_dim},
               {"value_dim", a.value_dim},
               {"q_rank", a.q_rank},
               {"q_norm", a.q_norm},
               {"key_source", enum_name(a.key_source)},
               {"value_source", enum_name(a.value_source)},
               {"position", enum_name(a.position)},
               {"qkv_bias", a.qkv_bias},
               {"o_bias", a.o_bias},
               {"qk_norm", a.qk_norm}};
  if (a.value_source == ValueSource::key) {
    json["reuse"] = enum_name(a.reuse);
    json["reuse_at"] = enum_name(a.reuse_at);
  }
  if (a.key_source == KeySource::latent) {
    json["kv_rank"] = a.kv_rank;
    json["rope_dim"] = a.rope_dim;
  }
  if (a.position == PositionKind::rope) json["rope_parameters"] = rope_to_json(a.rope);
  return json;
}

AttentionSpec attention_from_json(const Json& json, std::string_view where) {
  AttentionSpec a;
  const auto size = [&](const char* key, int64_t otherwise) {
    return find_int(json, key, where, 0, kMost).value_or(otherwise);
  };
  const auto flag = [&](const char* key) { return find_bool(json, key, where).value_or(false); };
  const auto choice = [&](const char* key, auto otherwise) {
    const auto name = find_string(json, key, where);
    return name ? parse_enum<decltype(otherwise)>(*name, fmt::format("config {}: {}", where, key)) : otherwise;
  };
  a.preset = find_string(json, "preset", where).value_or("custom");
  a.n_heads = get_int(json, "n_heads", where, 1, kMost);
  a.kv_heads = size("kv_heads", a.n_heads);
  a.head_dim = get_int(json, "head_dim", where, 1, kMost);
  a.value_dim = size("value_dim", a.head_dim);
  a.q_rank = size("q_rank", 0);
  a.q_norm = flag("q_norm");
  a.key_source = choice("key_source", KeySource::projection);
  a.value_source = choice("value_source", ValueSource::projection);
  a.reuse = choice("reuse", KeyReuse::gated);
  a.reuse_at = choice("reuse_at", ReuseAt::before_rope);
  a.kv_rank = size("kv_rank", 0);
  a.rope_dim = size("rope_dim", 0);
  a.position = choice("position", PositionKind::rope);
  if (a.position == PositionKind::rope) a.rope = rope_from_json(json, where);
  a.qkv_bias = flag("qkv_bias");
  a.o_bias = flag("o_bias");
  a.qk_norm = flag("qk_norm");
  return a;
}

void read_yarn(const Json& json, std::string_view where, RopeSpec& rope) {
  rope.beta_fast = find_double(json, "beta_fast", where).value_or(32);
  rope.beta_slow = find_double(json, "beta_slow", where).value_or(1);
  rope.attention_factor = find_double(json, "attention_factor", where).value_or(0);
  rope.mscale = find_double(json, "mscale", where).value_or(0);
  rope.mscale_all_dim = find_double(json, "mscale_all_dim", where).value_or(0);
  if (!find_bool(json, "truncate", where).value_or(true))
    bad_input("[config] {} asks for YaRN with a ramp between fractions of pairs (truncate: false), not supported",
              where);
}

}  // namespace

Json rope_to_json(const RopeSpec& rope) {
  Json json = {{"rope_theta", rope.theta},
               {"rope_type", rope.scaling == RopeScaling::none ? "default" : enum_name(rope.scaling)}};
  if (rope.scaling != RopeScaling::none) json["factor"] = rope.factor;
  if (rope.original_context > 0) json["original_max_position_embeddings"] = rope.original_context;
  if (rope.scaling == RopeScaling::llama3) {
    json["low_freq_factor"] = rope.low_freq_factor;
    json["high_freq_factor"] = rope.high_freq_factor;
  }
  if (rope.scaling == RopeScaling::yarn) {
    json["beta_fast"] = rope.beta_fast;
    json["beta_slow"] = rope.beta_slow;
    if (rope.mscale > 0) json["mscale"] = rope.mscale;
    if (rope.mscale_all_dim > 0) json["mscale_all_dim"] = rope.mscale_all_dim;
  }
  if (rope.attention_factor > 0) json["attention_factor"] = rope.attention_factor;
  if (!rope.frequencies.empty()) json["frequencies"] = rope.frequencies;
  return json;
}

RopeSpec rope_from_json(const Json& config, std::string_view where) {
  RopeSpec rope;
  rope.theta = find_double(config, "rope_theta", where).value_or(10000);
  const Json* parameters = find_member(config, "rope_parameters", where);
  if (parameters == nullptr) parameters = find_member(config, "rope_scaling", where);
  if (parameters == nullptr) return rope;
  if (!parameters->is_object()) bad_input("[config] {}: rope_parameters, expected an object", where);
  const Json& json = *parameters;
  rope.theta = find_double(json, "rope_theta", where).value_or(rope.theta);
  std::string type =
      find_string(json, "rope_type", where).value_or(find_string(json, "type", where).value_or("default"));
  if (type == "default") type = "none";
  rope.scaling = parse_enum<RopeScaling>(type, fmt::format("config {}: rope_type", where));
  rope.factor = find_double(json, "factor", where).value_or(1);
  rope.original_context = find_int(json, "original_max_position_embeddings", where, 0, kMost)
                              .value_or(rope.scaling == RopeScaling::none
                                            ? 0
                                            : find_int(config, "max_position_embeddings", where, 0, kMost).value_or(0));
  rope.low_freq_factor = find_double(json, "low_freq_factor", where).value_or(1);
  rope.high_freq_factor = find_double(json, "high_freq_factor", where).value_or(4);
  read_yarn(json, where, rope);
  if (const Json* table = find_member(json, "frequencies", where)) {
    if (!table->is_array()) bad_input("[config] {}: frequencies, expected a list of numbers", where);
    for (const Json& f : *table) {
      if (!f.is_number()) bad_input("[config] {}: frequencies, expected a list of numbers", where);
      rope.frequencies.push_back(f.get<double>());
    }
  }
  return rope;
}

Json spec_to_json(const ModelConfig& config) {
  Json json = {{"width", config.width},          {"vocab", config.vocab},       {"context", config.context},
               {"norm", enum_name(config.norm)}, {"norm_eps", config.norm_eps}, {"tied", config.tied},
               {"ffn_bias", config.ffn_bias},    {"bos", config.bos},           {"eos", config.eos}};
  Json layers = Json::array();
  for (const LayerSpec& layer : config.layers)
    layers.push_back({{"attention", attention_to_json(layer.attention)},
                      {"ffn", layer.ffn},
                      {"window", layer.window},
                      {"cache_owner", layer.cache_owner}});
  json["layers"] = std::move(layers);
  return json;
}

ModelConfig spec_from_json(const Json& json, std::string_view where) {
  ModelConfig config;
  config.width = get_int(json, "width", where, 1, kMost);
  config.vocab = get_int(json, "vocab", where, 1, kMost);
  config.context = get_int(json, "context", where, 1, kMost);
  if (const auto norm = find_string(json, "norm", where)) config.norm = parse_enum<ModelNorm>(*norm, "config norm");
  config.norm_eps = find_double(json, "norm_eps", where).value_or(1e-5);
  config.tied = find_bool(json, "tied", where).value_or(true);
  config.ffn_bias = find_bool(json, "ffn_bias", where).value_or(false);
  config.bos = find_int(json, "bos", where, -1, kMost).value_or(-1);
  config.eos = find_int(json, "eos", where, -1, kMost).value_or(-1);
  for (const Json& item : get_array(json, "layers", where)) {
    LayerSpec layer;
    layer.attention = attention_from_json(get_object(item, "attention", where), where);
    layer.ffn = get_int(item, "ffn", where, 1, kMost);
    layer.window = find_int(item, "window", where, 0, kMost).value_or(0);
    layer.cache_owner = find_int(item, "cache_owner", where, -1, kMost).value_or(-1);
    config.layers.push_back(std::move(layer));
  }
  validate(config);
  return config;
}

}  // namespace mfa
