// The names that GGUF files give to ways of cutting text (tokenizer.ggml.pre), and what they stand for.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "formats/tokenizer_description.h"

namespace mfa {

struct GgufPreTokenizer {
  std::vector<std::string_view> names;     // the first is the one to write
  std::vector<std::string_view> patterns;  // cut one after the other, matches isolated
  bool ignore_merges = false;              // whole words of the vocabulary come before merges
  bool add_bos = false;                    // where the file does not say
  bool nfc = false;                        // the published tokenizer normalizes first; GGUF has no key for it
};

std::span<const GgufPreTokenizer> gguf_pre_tokenizers();

const GgufPreTokenizer* find_gguf_pre_tokenizer(std::string_view name);  // nullptr: unknown

// The one that cuts as `about` does; nullptr: none.
const GgufPreTokenizer* find_gguf_pre_tokenizer(const TokenizerDescription& about);

}  // namespace mfa
