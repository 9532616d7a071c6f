// The tokenizer and chat template of a model as GGUF metadata.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "formats/gguf_vocabulary.h"
#include "formats/gguf_writer.h"

namespace mfa {

// Adds tokenizer.* for a model with `vocab` rows of embedding. llama.cpp wants one token a row: rows beyond the
// vocabulary get unused tokens. BadInput when the vocabulary has more tokens than the model has rows.
void add_vocabulary(GgufWriter& out, GgufVocabulary vocabulary, int64_t vocab);
// For a model without a tokenizer: llama.cpp then takes and gives ids.
void add_no_vocabulary(GgufWriter& out);
void add_chat_template(GgufWriter& out, const std::string& source);

}  // namespace mfa
