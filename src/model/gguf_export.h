// A model as a GGUF file that llama.cpp runs.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "formats/gguf_writer.h"
#include "model/gguf_names.h"
#include "model/model_config.h"

namespace mfa {

// f32, f16, bf16, q8_0 or q4_0; BadInput for another name.
GgmlType parse_export_type(const std::string& name);

struct GgufExported {
  GgufArchitecture architecture;
  int64_t tensors = 0;
  uint64_t bytes = 0;
};

// Writes `config`, whose layout must be one that GGUF has a name for (BadInput, saying what it has not): LLaMA's family
// as llama, qwen2, qwen3, with explicit key and value lengths. `type` is that of matrices; norms and biases stay f32,
// as ggml wants them. Matrices whose rows are not whole blocks become f16 instead, and with q4_0 the embedding and the
// classifier become q8_0, as they bear it worst. `writer` holds the metadata of the tokenizer already. read(spec, dst)
// gives the numbers of a parameter.
GgufExported export_gguf(const std::filesystem::path& file, const ModelConfig& config, GgmlType type, GgufWriter writer,
                         const std::function<void(const ParameterSpec&, std::span<float>)>& read);

}  // namespace mfa
