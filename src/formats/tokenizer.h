// Byte-level BPE tokenizers in Hugging Face's tokenizer.json form, and plain bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace mfa {

// Immutable and safe to use from many threads at once. Copies share one table.
class Tokenizer {
 public:
  // Ids 0..255 are the bytes, 256 is <|endoftext|>.
  static Tokenizer plain_bytes();
  // Refuses by name (BadInput) any normalizer, pre-tokenizer, model or decoder that it does not implement.
  static Tokenizer from_json(std::string_view json, std::string_view where);
  // A tokenizer_config.json beside the file names BOS and EOS; without it they are known by their usual names.
  static Tokenizer load(const std::filesystem::path& tokenizer_json);
  std::string to_json() const;  // opens in Hugging Face tokenizers with the same ids

  // Appends the ids of `text`; adds no BOS or EOS. Any bytes are accepted: decode(encode(x)) == x, also for invalid
  // UTF-8. Added tokens (<|endoftext|>) are recognised only with `special`, else their text is ordinary text.
  void encode(std::string_view text, std::vector<int32_t>& ids, bool special = false) const;
  std::vector<int32_t> encode(std::string_view text, bool special = false) const;
  std::string decode(std::span<const int32_t> ids) const;  // BadInput for an id outside the vocabulary
  std::string_view token_bytes(int32_t id) const;          // the bytes of one token, for streaming

  int64_t vocab_size() const;
  int32_t eos() const;           // −1: none
  int32_t bos() const;           // −1: none
  uint64_t fingerprint() const;  // changes when any id would change: part of the token cache's key

 private:
  struct Impl;
  explicit Tokenizer(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
  friend class BpeTrainer;
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
