// Tokenizers that others publish, and plain bytes: byte-pair encoding over bytes (GPT-2 and its descendants) or over
// characters (SentencePiece), from tokenizer.json, GGUF or llama2.c's tokenizer.bin.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "formats/gguf_vocabulary.h"
#include "formats/tokenizer_description.h"

namespace mfa {

// Immutable and safe to use from many threads at once. Copies share one table.
class Tokenizer {
 public:
  // Ids 0..255 are the bytes, 256 is <|endoftext|>.
  static Tokenizer plain_bytes();
  // Each refuses by name (BadInput) whatever it does not implement.
  static Tokenizer from_json(std::string_view json, std::string_view where);
  static Tokenizer from_gguf(const GgufFile& file);
  static Tokenizer from_llama2c(std::span<const std::byte> tokenizer_bin, std::string_view where);
  static Tokenizer from_description(TokenizerDescription about, std::string_view where);
  // A tokenizer_config.json beside the file names BOS and EOS, and says whether they go around a text; without it they
  // are known by their usual names.
  static Tokenizer load(const std::filesystem::path& tokenizer_json);

  std::string to_json() const;     // opens in Hugging Face tokenizers with the same ids
  GgufVocabulary to_gguf() const;  // BadInput where GGUF has no name for its way of cutting
  const TokenizerDescription& description() const;

  // Appends the ids of `text`; adds no BOS or EOS (see prefix). Any bytes are accepted, and no text fails.
  // `special` says whose text it is:
  //   true   a template's or a file's own: every added token is found in it, as Hugging Face's `tokenizers` does;
  //   false  a person's: the text of a control token (<|im_end|>, <s>: is_control in added_tokens.h) is ordinary text.
  //          Added tokens that only shorten text (runs of spaces) are found, as the model was trained.
  void encode(std::string_view text, std::vector<int32_t>& ids, bool special = false) const;
  std::vector<int32_t> encode(std::string_view text, bool special = false) const;

  // The text of `ids`; BadInput for an id outside the vocabulary. decode(encode(x)) == x for byte-level vocabularies
  // without a normalizer that have all bytes (SmolLM2's lacks some), also where x is not UTF-8; normalizers change x
  // first, and SentencePiece cannot tell a ▁ from a space. `continues`: the ids go on from others, so that a leading
  // space is the text's own.
  std::string decode(std::span<const int32_t> ids, bool continues = false) const;
  std::string_view token_bytes(int32_t id) const;  // the bytes of one token; TextDecoder joins them while they come
  int leading_spaces() const;                      // at most so many spaces at the start of a text are not its own

  int64_t vocab_size() const;
  bool has(int32_t id) const;         // ids may have holes
  bool is_special(int32_t id) const;  // a control token
  int32_t eos() const;                // −1: none
  int32_t bos() const;                // −1: none
  // What goes before and behind a text that is a whole, as the file says (TemplateProcessing, add_bos_token, GGUF's
  // add_bos_token): usually BOS and nothing.
  std::span<const int32_t> prefix() const;
  std::span<const int32_t> suffix() const;
  uint64_t fingerprint() const;  // changes when any id would change: part of the token cache's key

 private:
  struct Impl;
  explicit Tokenizer(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

// Learns merges from text: counts pre-tokenized words, then merges the most frequent pair, ties by lowest pair of ids,
// so that the result does not depend on the order or the number of pieces the text came in.
class BpeTrainer {
 public:
  void add(std::string_view text);             // counts words of one piece of text
  void merge_counts(const BpeTrainer& other);  // counts made by another thread
  // Vocabulary: 256 bytes, merges, then <|endoftext|> last; may be smaller than asked when no pair is left.
  Tokenizer train(int64_t vocab_size) const;

 private:
  std::unordered_map<std::string, int64_t> words_;
};

}  // namespace mfa
