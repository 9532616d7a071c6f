#include "train/describe_model.h"

#include <fmt/format.h>

#include "base/text_table.h"

namespace mfa {
namespace {

std::string query_text(const AttentionSpec& a) {
  if (a.q_rank == 0) return "";
  return fmt::format(", query through a latent of {}{}", a.q_rank, a.q_norm ? " with RMSNorm" : "");
}

std::string reuse_text(const AttentionSpec& a) {
  if (a.key_source == KeySource::input) return ", keys and values are the layer's input";
  std::string text;
  switch (a.reuse) {
    case KeyReuse::identity:
      text = ", v = k";
      break;
    case KeyReuse::map:
      text = ", v = N k";
      break;
    case KeyReuse::residual:
      text = ", v = k + N k";
      break;
    case KeyReuse::gated:
      text = ", v = k + α ⊙ N k";
      break;
  }
  if (a.position != PositionKind::rope) return text;
  return text + (a.reuse_at == ReuseAt::before_rope ? " (key before RoPE)" : " (key after RoPE)");
}

std::string source_text(const AttentionSpec& a) {
  if (a.key_source == KeySource::latent) {
    return fmt::format(", KV latent of {} and {} rotary numbers", a.kv_rank, a.rope_dim);
  }
  std::string text = fmt::format(", {} KV head{}", a.kv_heads, a.kv_heads == 1 ? "" : "s");
  if (a.value_dim != a.head_dim) text += fmt::format(" (values of {})", a.value_dim);
  return a.value_source == ValueSource::key ? text + reuse_text(a) : text;
}

std::string_view scaling_name(RopeScaling scaling) {
  switch (scaling) {
    case RopeScaling::none:
      return "";
    case RopeScaling::linear:
      return "linear";
    case RopeScaling::ntk:
      return "ntk";
    case RopeScaling::yarn:
      return "yarn";
    case RopeScaling::llama3:
      return "llama3";
  }
  return "";
}

std::string position_text(const AttentionSpec& a) {
  if (a.position == PositionKind::alibi) return ", ALiBi";
  if (a.position == PositionKind::none) return ", no positions";
  if (!a.rope.frequencies.empty()) return ", RoPE with a table of frequencies";
  std::string text = fmt::format(", RoPE base {}", a.rope.theta);
  if (a.rope.scaling != RopeScaling::none)
    text += fmt::format(", {} × {}", scaling_name(a.rope.scaling), a.rope.factor);
  return text;
}

std::string layer_text(const LayerSpec& layer) {
  std::string text = describe_attention(layer.attention);
  if (layer.window > 0) text += fmt::format(", window {}", layer.window);
  if (layer.cache_owner >= 0) text += fmt::format(", reads the cache of layer {}", layer.cache_owner);
  return text + fmt::format("; SwiGLU {}", layer.ffn);
}

}  // namespace

std::string describe_attention(const AttentionSpec& a) {
  std::string text =
      fmt::format("{}: {} query head{} × {}", a.preset, a.n_heads, a.n_heads == 1 ? "" : "s", a.head_dim);
  text += query_text(a) + source_text(a) + position_text(a);
  if (a.qkv_bias || a.o_bias)
    text += a.qkv_bias && a.o_bias ? ", biases" : a.qkv_bias ? ", q/k/v biases" : ", output bias";
  if (a.qk_norm) text += ", q/k norms";
  return text;
}

std::vector<std::pair<std::string, std::string>> describe_model(const ModelConfig& config) {
  std::vector<std::pair<std::string, std::string>> lines = {
      {"width", grouped(config.width)},
      {"layers", grouped(config.n_layers())},
      {"vocabulary",
       grouped(config.vocab) + (config.tied ? ", classifier tied to the embedding" : ", untied classifier")},
      {"context", grouped(config.context)},
      {"norm", config.norm == ModelNorm::rms ? "RMSNorm" : "LayerNorm"}};
  for (size_t first = 0; first < config.layers.size();) {
    size_t end = first + 1;
    while (end < config.layers.size() && config.layers[end] == config.layers[first]) ++end;
    const std::string name =
        end - first == 1 ? fmt::format("layer {}", first) : fmt::format("layers {}–{}", first, end - 1);
    lines.emplace_back(name, layer_text(config.layers[first]));
    first = end;
  }
  return lines;
}

}  // namespace mfa
