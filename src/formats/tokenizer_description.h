// What a tokenizer is, apart from the file it came in: read from and written to tokenizer.json, GGUF and llama2.c.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/added_tokens.h"
#include "formats/bpe.h"
#include "formats/normalizer.h"
#include "formats/pre_tokenizer.h"

namespace mfa {

constexpr int64_t kMaxTokens = int64_t{1} << 20;  // tables of ids are dense: one wild id must not fill memory

// From pieces to text. Added tokens stand for themselves.
struct DecoderDescription {
  bool byte_level = false;                // pieces are GPT-2's names of bytes
  std::vector<ReplaceStep> replacements;  // in each piece; ▁ → space
  bool byte_fallback = false;             // <0x00> … <0xFF> are bytes
  int strip = 0;                          // at most so many spaces at the start of the whole text are not its own
};

struct TokenizerDescription {
  bool byte_level = true;  // merges start from bytes, and pieces are GPT-2's names of them; else from characters
  std::vector<std::optional<std::string>> pieces;  // of each id, as vocabularies write it; ids may have holes
  std::vector<Merge> merges;                       // in order of rank
  std::vector<int32_t> ranks;                      // of each merge, where several share one; else empty
  std::vector<float> scores;                       // of each id in a SentencePiece vocabulary; else empty
  bool byte_fallback = false, fuse_unknown = false, ignore_merges = false;
  int32_t unknown = -1, bos = -1, eos = -1, pad = -1;  // −1: none
  std::vector<AddedToken> added;
  std::vector<NormalizerStep> normalizer;
  std::vector<PreTokenizerStep> pre_tokenizer;
  DecoderDescription decoder;
  std::vector<int32_t> prefix, suffix;  // put around a text that is a whole: BOS, EOS
};

// Byte-level BPE with GPT-2's pattern, or with none. `tokens` are bytes in order of their ids; `special` gets the next.
TokenizerDescription describe_byte_level(const std::vector<std::string>& tokens, const std::vector<Merge>& merges,
                                         const std::string& special, bool gpt2_pattern);

// What SentencePiece vocabularies share: ▁ for the space, bytes as <0x00> … <0xFF>, a space before the text.
void describe_sentencepiece(TokenizerDescription& out, bool space_prefix);

// SentencePiece joins the neighbours whose joined piece has the best score. As merges: all ways to cut a piece in two
// pieces, by score, those of one score with one rank. O(bytes of the pieces); BadInput for pieces over 256 bytes.
void merges_from_scores(TokenizerDescription& out, std::string_view where);

// The id of each byte: pieces that name it (byte level) or are <0x…>; −1 where there is none.
std::array<int32_t, 256> ids_of_bytes(const TokenizerDescription& about);

}  // namespace mfa
