#include "model/gguf_names.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/error.h"

namespace mfa {
namespace {

constexpr std::array<std::string_view, 4> kArchitectures = {"llama", "qwen2", "qwen3", "deepseek2"};

using Pair = std::pair<std::string_view, std::string_view>;

constexpr std::array<Pair, 5> kOutside = {{{"model.embed_tokens.weight", "token_embd.weight"},
                                           {"model.norm.weight", "output_norm.weight"},
                                           {"model.norm.bias", "output_norm.bias"},
                                           {"lm_head.weight", "output.weight"},
                                           {"lm_head.bias", "output.bias"}}};

// Without ".weight" or ".bias", inside a layer.
constexpr std::array<Pair, 17> kInLayer = {{{"input_layernorm", "attn_norm"},
                                            {"post_attention_layernorm", "ffn_norm"},
                                            {"self_attn.q_proj", "attn_q"},
                                            {"self_attn.k_proj", "attn_k"},
                                            {"self_attn.v_proj", "attn_v"},
                                            {"self_attn.o_proj", "attn_output"},
                                            {"self_attn.q_norm", "attn_q_norm"},
                                            {"self_attn.k_norm", "attn_k_norm"},
                                            {"self_attn.q_a_proj", "attn_q_a"},
                                            {"self_attn.q_a_layernorm", "attn_q_a_norm"},
                                            {"self_attn.q_b_proj", "attn_q_b"},
                                            {"self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa"},
                                            {"self_attn.kv_a_layernorm", "attn_kv_a_norm"},
                                            {"self_attn.kv_b_proj", "attn_kv_b"},
                                            {"mlp.gate_proj", "ffn_gate"},
                                            {"mlp.up_proj", "ffn_up"},
                                            {"mlp.down_proj", "ffn_down"}}};

constexpr std::string_view kLayers = "model.layers.";

bool is_projection(const std::string& name, std::string_view projection) {
  return name.find("self_attn." + std::string(projection) + ".") != std::string::npos;
}

// Rows are moved as whole runs of `cols` numbers: row i of the half-split order lies at 2i, row i + dim/2 at 2i + 1.
template <class Move>
void for_each_head(const RotaryRows& rows, int64_t cols, std::span<float> values, Move move) {
  std::vector<float> copy(static_cast<size_t>(rows.dim * cols));
  const int64_t half = rows.dim / 2;
  for (int64_t h = 0; h < rows.heads; ++h) {
    float* head = values.data() + (h * rows.head_dim + rows.offset) * cols;
    std::copy(head, head + rows.dim * cols, copy.begin());
    for (int64_t i = 0; i < half; ++i) {
      move(copy.data(), head, i, 2 * i);
      move(copy.data(), head, i + half, 2 * i + 1);
    }
  }
}

}  // namespace

std::string_view gguf_name_of(GgufArchitecture architecture) {
  return kArchitectures[static_cast<size_t>(architecture)];
}

GgufArchitecture parse_gguf_architecture(std::string_view name, std::string_view where) {
  const auto found = std::find(kArchitectures.begin(), kArchitectures.end(), name);
  if (found == kArchitectures.end())
    bad_input("[{}] general.architecture, got {}, expected {}", where, name, fmt::join(kArchitectures, ", "));
  return static_cast<GgufArchitecture>(found - kArchitectures.begin());
}

std::string gguf_tensor_name(const std::string& parameter) {
  for (const auto& [ours, theirs] : kOutside)
    if (parameter == ours) return std::string(theirs);
  if (!parameter.starts_with(kLayers)) return {};
  const size_t dot = parameter.find('.', kLayers.size()), last = parameter.rfind('.');
  if (dot == std::string::npos || last <= dot) return {};
  const std::string number = parameter.substr(kLayers.size(), dot - kLayers.size()), ending = parameter.substr(last);
  const std::string_view module = std::string_view(parameter).substr(dot + 1, last - dot - 1);
  for (const auto& [ours, theirs] : kInLayer)
    if (module == ours) return fmt::format("blk.{}.{}{}", number, theirs, ending);
  return {};
}

std::optional<RotaryRows> interleaved_rows(GgufArchitecture architecture, const ModelConfig& config,
                                           const ParameterSpec& spec) {
  if (spec.layer < 0) return std::nullopt;
  const AttentionSpec& a = config.layers[static_cast<size_t>(spec.layer)].attention;
  if (architecture == GgufArchitecture::llama) {
    if (is_projection(spec.name, "q_proj")) return RotaryRows{a.n_heads, a.head_dim, 0, a.head_dim};
    if (is_projection(spec.name, "k_proj")) return RotaryRows{a.kv_heads, a.head_dim, 0, a.head_dim};
  }
  if (architecture == GgufArchitecture::deepseek2) {
    if (is_projection(spec.name, a.q_rank > 0 ? "q_b_proj" : "q_proj"))
      return RotaryRows{a.n_heads, a.key_dim(), a.head_dim, a.rope_dim};
    if (is_projection(spec.name, "kv_a_proj_with_mqa"))
      return RotaryRows{1, a.kv_rank + a.rope_dim, a.kv_rank, a.rope_dim};
  }
  return std::nullopt;
}

void interleaved_to_half_split(const RotaryRows& rows, int64_t cols, std::span<float> values) {
  for_each_head(rows, cols, values, [&](const float* from, float* to, int64_t half_split, int64_t interleaved) {
    std::copy_n(from + interleaved * cols, cols, to + half_split * cols);
  });
}

void half_split_to_interleaved(const RotaryRows& rows, int64_t cols, std::span<float> values) {
  for_each_head(rows, cols, values, [&](const float* from, float* to, int64_t half_split, int64_t interleaved) {
    std::copy_n(from + half_split * cols, cols, to + interleaved * cols);
  });
}

}  // namespace mfa
