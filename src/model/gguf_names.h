// GGUF's architectures and tensor names for the parameters of a ModelConfig, and the order of their rotary rows.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "model/model_config.h"

namespace mfa {

// What general.architecture may say. `llama` covers LLaMA, Mistral, SmolLM2, TinyLlama and folded MFA.
enum class GgufArchitecture { llama, qwen2, qwen3, deepseek2 };
std::string_view gguf_name_of(GgufArchitecture architecture);
// BadInput, naming the file and the architecture, for any other.
GgufArchitecture parse_gguf_architecture(std::string_view name, std::string_view where);

// "model.layers.3.self_attn.q_proj.weight" → "blk.3.attn_q.weight"; empty where GGUF has no name for it.
std::string gguf_tensor_name(const std::string& parameter);

// Rows of a projection that RoPE rotates: `dim` rows from `offset` on in each of `heads` runs of `head_dim` rows.
struct RotaryRows {
  int64_t heads, head_dim, offset, dim;
};

// GGUF's llama and deepseek2 rotate neighbours (2i, 2i + 1), as the models' first code did; ours, Hugging Face's and
// GGUF's other architectures rotate (i, i + dim/2). Nothing for a parameter that is the same in both.
std::optional<RotaryRows> interleaved_rows(GgufArchitecture architecture, const ModelConfig& config,
                                           const ParameterSpec& spec);

// values [heads · head_dim, cols], in place.
void interleaved_to_half_split(const RotaryRows& rows, int64_t cols, std::span<float> values);
void half_split_to_interleaved(const RotaryRows& rows, int64_t cols, std::span<float> values);

}  // namespace mfa
