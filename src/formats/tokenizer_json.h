// Hugging Face's tokenizer.json, read and written.
#pragma once

#include <string>
#include <string_view>

#include "formats/json.h"
#include "formats/tokenizer_description.h"

namespace mfa {

// Refuses by name (BadInput) whatever it does not implement. Truncation and padding do not matter here: they act after
// encoding, and only when a caller asks.
TokenizerDescription read_tokenizer_json(std::string_view text, std::string_view where);

// The same tokenizer for Hugging Face's library. SentencePiece scores become an order of merges.
std::string write_tokenizer_json(const TokenizerDescription& about);

// Parts of a file, into `out`.
void read_normalizer(const Json& root, TokenizerDescription& out, std::string_view where);
void read_pre_tokenizer(const Json& root, TokenizerDescription& out, std::string_view where);
void read_decoder(const Json& root, TokenizerDescription& out, std::string_view where);
void read_post_processor(const Json& root, TokenizerDescription& out, std::string_view where);

// "type" of a component.
std::string type_of(const Json& json, std::string_view what, std::string_view where);

}  // namespace mfa
