#include "model/fixture.h"

#include <cmath>
#include <cstring>
#include <stdexcept>

#include "base/file.h"
#include "formats/safetensors.h"

namespace mfa::test {
namespace {

using nlohmann::json;

template <class E>
E pick(const json& value, std::initializer_list<std::pair<std::string_view, E>> names) {
  const auto text = value.get<std::string>();
  for (const auto& [name, result] : names)
    if (name == text) return result;
  throw std::runtime_error("unknown name in fixture: " + text);
}

template <class T>
void optional_field(const json& object, const char* key, T& field) {
  if (object.contains(key)) object.at(key).get_to(field);
}

AttentionSpec attention_from_json(const json& j) {
  AttentionSpec a;
  j.at("preset").get_to(a.preset);
  j.at("n_heads").get_to(a.n_heads);
  j.at("kv_heads").get_to(a.kv_heads);
  j.at("head_dim").get_to(a.head_dim);
  j.at("value_dim").get_to(a.value_dim);
  j.at("q_rank").get_to(a.q_rank);
  j.at("q_norm").get_to(a.q_norm);
  a.key_source = pick<KeySource>(
      j.at("key_source"),
      {{"projection", KeySource::projection}, {"latent", KeySource::latent}, {"input", KeySource::input}});
  a.value_source = pick<ValueSource>(
      j.at("value_source"),
      {{"projection", ValueSource::projection}, {"latent", ValueSource::latent}, {"key", ValueSource::key}});
  a.reuse = pick<KeyReuse>(j.at("reuse"), {{"identity", KeyReuse::identity},
                                           {"map", KeyReuse::map},
                                           {"residual", KeyReuse::residual},
                                           {"gated", KeyReuse::gated}});
  a.reuse_at =
      pick<ReuseAt>(j.at("reuse_at"), {{"before_rope", ReuseAt::before_rope}, {"after_rope", ReuseAt::after_rope}});
  j.at("kv_rank").get_to(a.kv_rank);
  j.at("rope_dim").get_to(a.rope_dim);
  a.position = pick<PositionKind>(
      j.at("position"), {{"rope", PositionKind::rope}, {"alibi", PositionKind::alibi}, {"none", PositionKind::none}});
  a.rope = rope_from_json(j.at("rope"));
  j.at("qkv_bias").get_to(a.qkv_bias);
  j.at("o_bias").get_to(a.o_bias);
  j.at("qk_norm").get_to(a.qk_norm);
  return a;
}

ModelConfig config_from_json(const json& j) {
  ModelConfig c;
  j.at("width").get_to(c.width);
  j.at("vocab").get_to(c.vocab);
  j.at("context").get_to(c.context);
  c.norm = pick<ModelNorm>(j.at("norm"), {{"rms", ModelNorm::rms}, {"layer", ModelNorm::layer}});
  j.at("norm_eps").get_to(c.norm_eps);
  j.at("tied").get_to(c.tied);
  j.at("ffn_bias").get_to(c.ffn_bias);
  for (const json& layer : j.at("layers")) {
    LayerSpec spec;
    spec.attention = attention_from_json(layer.at("attention"));
    layer.at("ffn").get_to(spec.ffn);
    layer.at("window").get_to(spec.window);
    layer.at("cache_owner").get_to(spec.cache_owner);
    c.layers.push_back(std::move(spec));
  }
  return c;
}

std::map<std::string, Summary> summaries_from_json(const json& j) {
  std::map<std::string, Summary> result;
  for (const auto& [name, value] : j.items()) result[name] = {value.at(0).get<double>(), value.at(1).get<double>()};
  return result;
}

std::vector<int32_t> flat_ids(const json& rows) {
  std::vector<int32_t> result;
  for (const json& row : rows)
    for (const json& id : row) result.push_back(id.get<int32_t>());
  return result;
}

std::vector<double> doubles(const StoredTensor& tensor) {
  if (tensor.type != DType::f64) throw std::runtime_error("fixture tensors are f64");
  std::vector<double> result(static_cast<size_t>(tensor.size()));
  std::memcpy(result.data(), tensor.bytes.data(), result.size() * sizeof(double));
  return result;
}

GoldenCase case_from_json(const json& j, const SafetensorsReader& arrays) {
  GoldenCase c;
  j.at("name").get_to(c.name);
  c.config = config_from_json(j.at("config"));
  c.sequences = static_cast<int64_t>(j.at("ids").size());
  c.tokens = static_cast<int64_t>(j.at("ids").at(0).size());
  c.ids = flat_ids(j.at("ids"));
  c.targets = flat_ids(j.at("targets"));
  c.doc_start = flat_ids(j.at("doc_start"));
  j.at("losses").get_to(c.losses);
  c.gradients = summaries_from_json(j.at("gradients"));
  c.trained = summaries_from_json(j.at("trained"));
  const std::string prefix = c.name + "/";
  for (auto it = arrays.tensors().lower_bound(prefix); it != arrays.tensors().end(); ++it) {
    if (!it->first.starts_with(prefix)) break;
    const std::string name = it->first.substr(prefix.size());
    (name == "logits" ? c.logits : c.full_gradients[name]) = doubles(it->second);
  }
  return c;
}

GoldenSuite read_suite() {
  const json document = read_fixture("model/cases.json");
  const SafetensorsReader arrays(fs::path(MFA_FIXTURES) / "model/cases.safetensors");
  GoldenSuite suite;
  const json& o = document.at("optimizer");
  suite.optimizer = {o.at("lr"),    o.at("beta1"),    o.at("beta2"), o.at("eps"),
                     o.at("decay"), o.at("max_norm"), o.at("steps")};
  for (const json& c : document.at("cases")) suite.cases.push_back(case_from_json(c, arrays));
  return suite;
}

}  // namespace

RopeSpec rope_from_json(const json& j) {
  RopeSpec r;
  optional_field(j, "theta", r.theta);
  if (j.contains("scaling"))
    r.scaling = pick<RopeScaling>(j.at("scaling"), {{"none", RopeScaling::none},
                                                    {"linear", RopeScaling::linear},
                                                    {"ntk", RopeScaling::ntk},
                                                    {"yarn", RopeScaling::yarn},
                                                    {"llama3", RopeScaling::llama3}});
  optional_field(j, "factor", r.factor);
  optional_field(j, "original_context", r.original_context);
  optional_field(j, "low_freq_factor", r.low_freq_factor);
  optional_field(j, "high_freq_factor", r.high_freq_factor);
  optional_field(j, "beta_fast", r.beta_fast);
  optional_field(j, "beta_slow", r.beta_slow);
  optional_field(j, "attention_factor", r.attention_factor);
  optional_field(j, "mscale", r.mscale);
  optional_field(j, "mscale_all_dim", r.mscale_all_dim);
  optional_field(j, "frequencies", r.frequencies);
  return r;
}

json read_fixture(const std::string& name) { return json::parse(read_file(fs::path(MFA_FIXTURES) / name)); }

const GoldenSuite& golden_suite() {
  static const GoldenSuite suite = read_suite();
  return suite;
}

std::vector<double> numbers_of(std::string_view name, int64_t count) {
  uint64_t state = 0xcbf29ce484222325u;
  for (const char c : name) state = (state ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  std::vector<double> result;
  for (int64_t i = 0; i < count; ++i) {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    result.push_back(static_cast<double>(z >> 11) * 0x1p-52 - 1.0);
  }
  return result;
}

std::vector<double> initial_parameter(const ParameterSpec& spec) {
  std::vector<double> values = numbers_of(spec.name, spec.size());
  const bool norm = spec.vector && spec.name.find("norm") != std::string::npos && spec.name.ends_with(".weight");
  double factor = spec.name.ends_with("value_gate") ? 0.5 : 0.2;
  if (!spec.vector) factor = std::sqrt(3.0 / static_cast<double>(spec.cols));
  if (spec.name == "model.embed_tokens.weight") factor = 1;
  for (double& x : values) x = (norm ? 1.0 : 0.0) + factor * x;
  return values;
}

Summary summarise(const std::string& name, const std::vector<double>& values) {
  const std::vector<double> probe = numbers_of("probe " + name, static_cast<int64_t>(values.size()));
  double dot = 0, squares = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    dot += values[i] * probe[i];
    squares += values[i] * values[i];
  }
  return {dot, std::sqrt(squares)};
}

}  // namespace mfa::test
