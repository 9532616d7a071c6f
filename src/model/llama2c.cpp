#include "model/llama2c.h"

#include <array>
#include <cstring>

#include "base/error.h"
#include "model/gguf_names.h"

namespace mfa {
namespace {

constexpr int64_t kHeader = 28;

ModelConfig config_of(const std::array<int32_t, 7>& header, const std::string& where) {
  const auto [dim, hidden, layers, heads, kv_heads, vocab, context] = header;
  if (dim < 1 || hidden < 1 || layers < 1 || heads < 1 || kv_heads < 1 || context < 1 || vocab == 0 ||
      vocab == INT32_MIN || layers > 100000 || dim % heads != 0)
    bad_input("[{}] is not a llama2.c model: its header says {}", where, fmt::join(header, ", "));
  ModelConfig config;
  config.width = dim;
  config.vocab = std::abs(vocab);
  config.context = context;
  config.tied = vocab > 0;
  config.bos = 1;
  config.eos = 2;
  LayerSpec layer;
  layer.ffn = hidden;
  layer.attention.n_heads = heads;
  layer.attention.kv_heads = kv_heads;
  layer.attention.head_dim = layer.attention.value_dim = dim / heads;
  layer.attention.preset = heads == kv_heads ? "mha" : kv_heads == 1 ? "mqa" : "gqa";
  config.layers.assign(static_cast<size_t>(layers), layer);
  validate(config);
  return config;
}

}  // namespace

Llama2cWeights::Llama2cWeights(const fs::path& path) : where_(path.string()), file_(path) {
  std::array<int32_t, 7> header{};
  if (file_.size() < kHeader) bad_input("[{}] is not a llama2.c model: only {} bytes", where_, file_.size());
  std::memcpy(header.data(), file_.bytes().data(), kHeader);
  config_ = config_of(header, where_);
  lay_out(!config_.tied);
}

// validate() keeps the model below 2^40 parameters, so that no offset here overflows.
void Llama2cWeights::lay_out(bool classifier) {
  const AttentionSpec& a = config_.layers[0].attention;
  const int64_t layers = config_.n_layers(), width = config_.width, ffn = config_.layers[0].ffn;
  const int64_t q = a.n_heads * a.head_dim, kv = a.kv_heads * a.head_dim;
  kinds_ = {{"model.embed_tokens.weight", 1, config_.vocab, width, 0},
            {"input_layernorm.weight", layers, 1, width, 0},
            {"q_proj.weight", layers, q, width, 0},
            {"k_proj.weight", layers, kv, width, 0},
            {"v_proj.weight", layers, kv, width, 0},
            {"o_proj.weight", layers, width, q, 0},
            {"post_attention_layernorm.weight", layers, 1, width, 0},
            {"gate_proj.weight", layers, ffn, width, 0},
            {"down_proj.weight", layers, width, ffn, 0},
            {"up_proj.weight", layers, ffn, width, 0},
            {"model.norm.weight", 1, 1, width, 0},
            {"", 2, config_.context, a.head_dim / 2, 0}};  // old tables of cosines and sines
  if (classifier) kinds_.push_back({"lm_head.weight", 1, config_.vocab, width, 0});
  int64_t at = kHeader;
  for (Kind& kind : kinds_) {
    kind.offset = at;
    at += kind.count * kind.rows * kind.cols * 4;
  }
  if (static_cast<int64_t>(file_.size()) != at)
    bad_input("[{}] its header asks for {} bytes, got {}", where_, at, file_.size());
}

std::vector<WeightFile::Entry> Llama2cWeights::entries() const {
  std::vector<Entry> entries;
  for (const Kind& kind : kinds_) {
    if (kind.suffix[0] == '\0') continue;
    const int64_t numbers = kind.count * kind.rows * kind.cols;
    entries.push_back({kind.suffix, "f32", {kind.count, kind.rows, kind.cols}, numbers, numbers * 4});
  }
  return entries;
}

void Llama2cWeights::check(const ModelConfig& config) const {
  if (!(config == config_)) bad_input("[{}] belongs to another config", where_);
}

void Llama2cWeights::read(const ModelConfig& config, const ParameterSpec& spec, std::span<float> dst) const {
  for (const Kind& kind : kinds_) {
    if (kind.suffix[0] == '\0' || !spec.name.ends_with(kind.suffix)) continue;
    const int64_t index = std::max<int64_t>(spec.layer, 0);
    std::memcpy(dst.data(), file_.bytes().data() + kind.offset + index * spec.size() * 4, dst.size_bytes());
    if (const auto rows = interleaved_rows(GgufArchitecture::llama, config, spec))
      interleaved_to_half_split(*rows, spec.cols, dst);
    return;
  }
  bad_input("[{}] holds no {}", where_, spec.name);
}

}  // namespace mfa
