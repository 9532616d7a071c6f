// Byte-pair encoding of one word.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace mfa {

struct Merge {
  int32_t left, right, result;
};

// The ids that a word starts from.
struct BpeSymbols {
  std::array<int32_t, 256> bytes;  // of each byte; −1: none
  bool characters = false;         // start from characters; those not in the list below become their bytes …
  std::unordered_map<char32_t, int32_t> of_character;
  int32_t unknown = -1;       // … or, where bytes have no ids, this one (−1: nothing)
  bool fuse_unknown = false;  // one `unknown` for a run of them
};

// Starts from the ids of single bytes or characters and joins the neighbours whose merge comes first in the list, the
// leftmost of equals, until no merge applies. Immutable; safe to use from many threads at once. Cost: short words come
// from a table of words seen by this thread (1 MiB a thread); n bytes that are not there take O(n²) for n ≤ 32, O(n log
// n) beyond, so that a megabyte without a space is no attack.
class Bpe {
 public:
  // `merges` in order of rank; of two merges of one pair the later counts, as in Hugging Face. `ranks`, if given: of
  // each merge, for those that share one. `whole`: words that are looked up before any merging (ignore_merges).
  Bpe(BpeSymbols symbols, std::span<const Merge> merges, std::unordered_map<std::string, int32_t> whole,
      std::span<const int32_t> ranks = {});
  Bpe(const std::array<int32_t, 256>& byte_ids, std::span<const Merge> merges,
      std::unordered_map<std::string, int32_t> whole)
      : Bpe(BpeSymbols{byte_ids}, merges, std::move(whole)) {}
  Bpe(const Bpe&) = delete;  // the identity below must not be shared
  Bpe& operator=(const Bpe&) = delete;

  void encode_word(std::string_view word, std::vector<int32_t>& ids) const;  // appends

 private:
  struct Entry {
    uint64_t pair;
    int32_t rank, result;
  };
  class LongWord;

  void insert(const Merge& merge, int32_t rank);
  const Entry* find(int32_t left, int32_t right) const;  // nullptr: these two do not merge
  void merge_word(std::string_view word, std::vector<int32_t>& ids) const;
  void merge_short(std::span<int32_t> symbols, std::vector<int32_t>& ids) const;
  template <class Add>
  void start(std::string_view word, const Add& add) const;  // add(id) for each symbol that the word starts from

  BpeSymbols symbols_;
  std::array<int32_t, 128> ascii_;  // symbols_.of_character, or −1
  std::vector<Entry> table_;        // open addressing; a power of two, at most half full
  std::unordered_map<std::string, int32_t> whole_;
  uint64_t identity_;  // tells this vocabulary's words in a thread's cache from another's
};

}  // namespace mfa
