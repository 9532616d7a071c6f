// Tokens that end a text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "formats/tokenizer.h"
#include "model/model_config.h"

namespace mfa {

// Ids in ascending order: the config's EOS, the lists of generation_config.json and config.json (eos_token_id may be a
// list), the tokenizer's EOS, and the added tokens whose names published chat models end a turn with (<|im_end|>,
// <|eot_id|>, …), which GGUF files and many folders do not list. Only ids inside the model's vocabulary. `tokenizer`
// may be null. BadInput where generation_config.json is no JSON or an id is no number.
std::vector<int32_t> load_end_tokens(const std::filesystem::path& model, const ModelConfig& config,
                                     const Tokenizer* tokenizer);

}  // namespace mfa
