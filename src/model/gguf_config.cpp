#include "model/gguf_config.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "model/gguf_rope.h"

namespace mfa {
namespace {

constexpr int64_t kMost = 1 << 30;

// The metadata of one architecture: every key begins with its name.
class Keys {
 public:
  Keys(const GgufFile& file, GgufArchitecture architecture)
      : file_(file), prefix_(std::string(gguf_name_of(architecture)) + ".") {}

  std::string key(std::string_view name) const { return prefix_ + std::string(name); }
  int64_t size(std::string_view name) const { return file_.get_int(key(name), 1, kMost); }
  std::optional<int64_t> find(std::string_view name) const { return file_.find_int(key(name), 0, kMost); }
  // One number for all layers, or a list with one a layer.
  std::vector<int64_t> per_layer(std::string_view name, int64_t layers, std::optional<int64_t> missing) const {
    const auto found = file_.metadata().find(key(name));
    if (found == file_.metadata().end() && missing) return std::vector<int64_t>(static_cast<size_t>(layers), *missing);
    if (found == file_.metadata().end() || found->second.type() != GgufType::list)
      return std::vector<int64_t>(static_cast<size_t>(layers), size(name));
    const std::vector<int64_t> values = *file_.find_ints(key(name));
    if (static_cast<int64_t>(values.size()) != layers)
      bad_input("[{}] {}, got {} numbers, expected one a layer ({})", file_.where(), key(name), values.size(), layers);
    return values;
  }

 private:
  const GgufFile& file_;
  std::string prefix_;
};

// Keys that change what the model computes, with the value under which they change nothing.
struct Foreign {
  std::string_view key;
  double neutral;
  std::string_view what;
};
constexpr Foreign kForeign[] = {{"attention.clamp_kqv", 0, "clamped q, k, v"},
                                {"attention.max_alibi_bias", 0, "ALiBi"},
                                {"attention.scale", 0, "an attention scale"},
                                {"attn_logit_softcapping", 0, "a soft cap on scores"},
                                {"final_logit_softcapping", 0, "a soft cap on logits"},
                                {"logit_scale", 0, "a logit scale"},
                                {"residual_scale", 0, "a residual scale"},
                                {"embedding_scale", 0, "an embedding scale"},
                                {"nextn_predict_layers", 0, "layers that predict further tokens"},
                                {"attention.temperature_length", 0, "an attention temperature"},
                                {"attention.temperature_scale", 0, "an attention temperature"}};

void refuse(bool asked, std::string_view what, const GgufFile& file) {
  if (asked) bad_input("[{}] asks for {}, which is not supported", file.where(), what);
}

void refuse_foreign(const GgufFile& file, const Keys& keys) {
  for (const auto& [name, neutral, what] : kForeign)
    refuse(file.find_double(keys.key(name)).value_or(neutral) != neutral, what, file);
  refuse(!file.find_bool(keys.key("attention.causal")).value_or(true), "attention to later tokens", file);
  refuse(file.has(keys.key("attention.sliding_window_pattern")), "a sliding window on some layers", file);
}

bool has_tensor(const GgufFile& file, const char* name) { return file.find_tensor(name) != nullptr; }

void read_projected(const GgufFile& file, GgufArchitecture architecture, const Keys& keys, ModelConfig& config) {
  const int64_t n = config.n_layers();
  refuse(keys.find("expert_count").value_or(0) > 0, "experts", file);
  const std::vector<int64_t> heads = keys.per_layer("attention.head_count", n, std::nullopt);
  const std::vector<int64_t> kv_heads = keys.per_layer("attention.head_count_kv", n, heads[0]);
  const std::vector<int64_t> ffn = keys.per_layer("feed_forward_length", n, std::nullopt);
  if (heads[0] < 1) bad_input("[{}] {}, got {}", file.where(), keys.key("attention.head_count"), heads[0]);
  const int64_t usual = std::max<int64_t>(1, config.width / heads[0]);
  for (int64_t i = 0; i < n; ++i) {
    LayerSpec& layer = config.layers[static_cast<size_t>(i)];
    AttentionSpec& a = layer.attention;
    a.n_heads = heads[static_cast<size_t>(i)];
    a.kv_heads = kv_heads[static_cast<size_t>(i)];
    a.head_dim = keys.find("attention.key_length").value_or(usual);
    a.value_dim = keys.find("attention.value_length").value_or(usual);
    a.preset = a.kv_heads == a.n_heads ? "mha" : a.kv_heads == 1 ? "mqa" : "gqa";
    a.qkv_bias = has_tensor(file, "blk.0.attn_q.bias");
    a.o_bias = has_tensor(file, "blk.0.attn_output.bias");
    a.qk_norm = architecture == GgufArchitecture::qwen3;
    layer.ffn = ffn[static_cast<size_t>(i)];
    layer.window = keys.find("attention.sliding_window").value_or(0);
  }
  config.ffn_bias = has_tensor(file, "blk.0.ffn_gate.bias");
}

// DeepSeek's MLA, in the form with attn_kv_b (key_length is a head's) or, later, with attn_k_b and attn_v_b (where
// key_length is the latent's and key_length_mla a head's).
void read_latent(const GgufFile& file, const Keys& keys, ModelConfig& config) {
  const int64_t dense = keys.find("leading_dense_block_count").value_or(0);
  refuse(keys.find("expert_count").value_or(0) > 0 && dense < config.n_layers(), "experts", file);
  AttentionSpec a;
  a.preset = "mla";
  a.key_source = KeySource::latent;
  a.value_source = ValueSource::latent;
  a.n_heads = a.kv_heads = keys.size("attention.head_count");
  a.q_rank = keys.find("attention.q_lora_rank").value_or(0);
  a.q_norm = a.q_rank > 0;
  a.kv_rank = keys.size("attention.kv_lora_rank");
  a.rope_dim = keys.size("rope.dimension_count");
  const bool split = keys.find("attention.key_length_mla").has_value();
  a.head_dim = keys.size(split ? "attention.key_length_mla" : "attention.key_length") - a.rope_dim;
  a.value_dim = keys.size(split ? "attention.value_length_mla" : "attention.value_length");
  for (LayerSpec& layer : config.layers) {
    layer.attention = a;
    layer.ffn = keys.size("feed_forward_length");
  }
}

int64_t vocabulary(const GgufFile& file) {
  const GgufTensor* embedding = file.find_tensor("token_embd.weight");
  if (embedding == nullptr) bad_input("[{}] holds no token_embd.weight: it is a vocabulary, not a model", file.where());
  return embedding->shape[0];
}

}  // namespace

double written_double(double f32) { return std::strtod(fmt::format("{}", static_cast<float>(f32)).c_str(), nullptr); }

GgufArchitecture gguf_architecture(const GgufFile& file) {
  return parse_gguf_architecture(file.get_string("general.architecture"), file.where());
}

ModelConfig config_from_gguf(const GgufFile& file) {
  const GgufArchitecture architecture = gguf_architecture(file);
  const Keys keys(file, architecture);
  refuse_foreign(file, keys);
  ModelConfig config;
  config.vocab = vocabulary(file);
  config.width = keys.size("embedding_length");
  config.context = keys.size("context_length");
  config.norm_eps = written_double(file.get_double(keys.key("attention.layer_norm_rms_epsilon")));
  config.tied = !has_tensor(file, "output.weight");
  config.bos = file.find_int("tokenizer.ggml.bos_token_id", -1, kMost).value_or(-1);
  config.eos = file.find_int("tokenizer.ggml.eos_token_id", -1, kMost).value_or(-1);
  // Each layer has tensors of its own: a count beyond them must not become memory.
  config.layers.resize(
      static_cast<size_t>(file.get_int(keys.key("block_count"), 1, static_cast<int64_t>(file.tensors().size()))));
  if (architecture == GgufArchitecture::deepseek2)
    read_latent(file, keys, config);
  else
    read_projected(file, architecture, keys, config);
  for (LayerSpec& layer : config.layers)
    layer.attention.rope = gguf_rope(file, gguf_name_of(architecture), layer.attention.rotary_dim());
  validate(config);
  return config;
}

}  // namespace mfa
