// A vocabulary as GGUF metadata holds it (tokenizer.ggml.*).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf.h"
#include "formats/tokenizer_description.h"

namespace mfa {

// tokenizer.ggml.token_type
enum class GgufTokenType : int32_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

// Each member is the value of the key named; empty or nullopt: no such key.
struct GgufVocabulary {
  std::string model, pre;           // tokenizer.ggml.model: gpt2 (byte-level BPE) or llama (SentencePiece BPE); .pre
  std::vector<std::string> tokens;  // .tokens: gpt2 in GPT-2's names of bytes, llama with ▁ and <0x00>
  std::vector<float> scores;        // .scores: llama
  std::vector<int32_t> types;       // .token_type
  std::vector<std::string> merges;  // .merges: gpt2, "left right"
  std::optional<int32_t> bos, eos, unknown, padding;       // .bos_token_id, …
  std::optional<bool> add_bos, add_eos, add_space_prefix;  // .add_bos_token, …
  std::string name;                                        // general.name: Phi-3's tokens take white space along
};

// BadInput, naming the file and the key, for what does not fit together.
GgufVocabulary read_gguf_vocabulary(const GgufFile& file);

// BadInput by name for models and pre-tokenizers that are not supported.
TokenizerDescription describe_gguf(const GgufVocabulary& vocabulary, std::string_view where);

// BadInput, saying what, where GGUF cannot express the tokenizer.
GgufVocabulary write_gguf_vocabulary(const TokenizerDescription& about);

}  // namespace mfa
