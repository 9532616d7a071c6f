// Hugging Face's tokenizer.json, read and written.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "formats/bpe.h"
#include "formats/pre_tokenizer.h"

namespace mfa {

struct AddedToken {
  std::string content;
  int32_t id;
  bool normalized;  // looked for after those that are not
};

// What ids depend on.
struct TokenizerDescription {
  std::vector<std::optional<std::string>> tokens;  // bytes of each id; ids may have holes
  std::array<int32_t, 256> byte_ids{};
  std::vector<Merge> merges;
  bool ignore_merges = false;
  std::unordered_map<std::string, int32_t> ids;  // bytes → id, without added tokens; for ignore_merges
  std::vector<AddedToken> added;
  PreTokenizer pre_tokenizer;
};

// Refuses by name (BadInput) whatever it does not implement. Truncation, padding and post-processors do not matter
// here: they act after encoding, and only when a caller asks.
TokenizerDescription read_tokenizer_json(std::string_view text, std::string_view where);

// A tokenizer.json with GPT-2's pattern (or none), the decoder ByteLevel and no normalizer. `tokens` are bytes in order
// of their ids; `special` gets the next id.
std::string write_tokenizer_json(std::span<const std::string> tokens, std::span<const Merge> merges,
                                 const std::string& special, bool use_regex);

}  // namespace mfa
