#include "formats/bpe.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <queue>

#include "base/file.h"
#include "formats/utf8.h"

namespace mfa {
namespace {

constexpr uint64_t kNoPair = ~uint64_t{0};  // ids are not negative
constexpr size_t kShortWord = 32;           // bytes; up to here a plain scan beats a heap

uint64_t pair_of(int32_t left, int32_t right) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) | static_cast<uint32_t>(right);
}

size_t slot_of(uint64_t pair, size_t mask) {
  const uint64_t mixed = pair * 0x9e3779b97f4a7c15u;  // Fibonacci hashing: the upper bits are the good ones
  return (mixed >> 32) & mask;
}

// Text repeats its words; one look-up here replaces a word's merges. Direct-mapped: a newer word takes the place of an
// older one, so that memory is fixed. 64 bytes a slot, one cache line.
struct alignas(64) CachedWord {
  static constexpr size_t kBytes = 22, kIds = 8;
  uint64_t owner = 0;  // 0: empty
  uint8_t length, count;
  char word[kBytes];
  int32_t ids[kIds];
};
constexpr size_t kCacheSlots = 1 << 14;

CachedWord& cached(std::string_view word) {
  thread_local const std::unique_ptr<CachedWord[]> slots = std::make_unique<CachedWord[]>(kCacheSlots);
  return slots[hash64(word) & (kCacheSlots - 1)];
}

uint64_t next_identity() {
  static std::atomic<uint64_t> last = 0;
  return ++last;
}

}  // namespace

Bpe::Bpe(BpeSymbols symbols, std::span<const Merge> merges, std::unordered_map<std::string, int32_t> whole,
         std::span<const int32_t> ranks)
    : symbols_(std::move(symbols)),
      table_(std::bit_ceil(merges.size() * 2 + 2), Entry{kNoPair, 0, 0}),
      whole_(std::move(whole)),
      identity_(next_identity()) {
  for (size_t i = 0; i < merges.size(); ++i) insert(merges[i], ranks.empty() ? static_cast<int32_t>(i) : ranks[i]);
  ascii_.fill(-1);
  for (const auto& [character, id] : symbols_.of_character) {
    if (character < ascii_.size()) ascii_[character] = id;
  }
}

void Bpe::insert(const Merge& merge, int32_t rank) {
  const uint64_t pair = pair_of(merge.left, merge.right);
  const size_t mask = table_.size() - 1;
  size_t slot = slot_of(pair, mask);
  while (table_[slot].pair != kNoPair && table_[slot].pair != pair) slot = (slot + 1) & mask;
  table_[slot] = {pair, rank, merge.result};
}

const Bpe::Entry* Bpe::find(int32_t left, int32_t right) const {
  const uint64_t pair = pair_of(left, right);
  const size_t mask = table_.size() - 1;
  for (size_t slot = slot_of(pair, mask); table_[slot].pair != kNoPair; slot = (slot + 1) & mask) {
    if (table_[slot].pair == pair) return &table_[slot];
  }
  return nullptr;
}

void Bpe::encode_word(std::string_view word, std::vector<int32_t>& ids) const {
  if (word.empty()) return;
  if (word.size() > CachedWord::kBytes) return merge_word(word, ids);
  CachedWord& slot = cached(word);
  if (slot.owner == identity_ && word == std::string_view(slot.word, slot.length)) {
    ids.insert(ids.end(), slot.ids, slot.ids + slot.count);
    return;
  }
  const size_t before = ids.size();
  merge_word(word, ids);
  const size_t count = ids.size() - before;
  if (count > CachedWord::kIds) return;
  slot.owner = identity_;
  slot.length = static_cast<uint8_t>(word.size());
  slot.count = static_cast<uint8_t>(count);
  std::memcpy(slot.word, word.data(), word.size());
  std::memcpy(slot.ids, ids.data() + before, count * sizeof(int32_t));
}

// Calls add(id) at most once a byte.
template <class Add>
void Bpe::start(std::string_view word, const Add& add) const {
  bool unknown_before = false;
  const auto unknown = [&] {
    if (symbols_.unknown >= 0 && !(unknown_before && symbols_.fuse_unknown)) add(symbols_.unknown);
    unknown_before = true;
  };
  if (!symbols_.characters) {
    for (const char byte : word) {
      const int32_t id = symbols_.bytes[static_cast<uint8_t>(byte)];
      id >= 0 ? add(id) : unknown();
      unknown_before &= id < 0;
    }
    return;
  }
  while (!word.empty()) {
    const auto first = static_cast<uint8_t>(word[0]);
    const size_t length = first < 0x80 ? 1 : utf8_length(word.substr(0, 4));
    std::string_view rest = word, bytes = word.substr(0, std::max<size_t>(length, 1));
    int32_t id = -1;
    if (first < 0x80) {
      id = ascii_[first];
    } else if (length > 0) {
      const auto found = symbols_.of_character.find(take_character(rest));
      if (found != symbols_.of_character.end()) id = found->second;
    }
    word.remove_prefix(bytes.size());
    if (id >= 0) {
      add(id);
      unknown_before = false;
    } else if (symbols_.bytes[first] >= 0) {
      for (const char byte : bytes) add(symbols_.bytes[static_cast<uint8_t>(byte)]);
      unknown_before = false;
    } else {
      unknown();
    }
  }
}

// Symbols of a long word: a linked list over them, and a heap of the merges that apply.
class Bpe::LongWord {
 public:
  LongWord(const Bpe& bpe, std::string_view word) : bpe_(bpe) {
    symbols_.reserve(word.size());
    bpe.start(word, [&](int32_t id) {
      const auto i = static_cast<int64_t>(symbols_.size());
      symbols_.push_back({id, i - 1, i + 1});
    });
    if (!symbols_.empty()) symbols_.back().next = -1;
    for (size_t i = 0; i + 1 < symbols_.size(); ++i) push(static_cast<int64_t>(i));
  }

  void merge() {
    while (!heap_.empty()) {
      const Candidate best = heap_.top();
      heap_.pop();
      Symbol& left = at(best.at);
      if (left.id < 0 || left.next < 0) continue;  // merged away since
      const Entry* entry = bpe_.find(left.id, at(left.next).id);
      if (entry == nullptr || entry->rank != best.rank) continue;  // another pair stands here by now
      join(best.at, entry->result);
    }
  }

  void append_to(std::vector<int32_t>& ids) const {
    for (const Symbol& symbol : symbols_) {
      if (symbol.id >= 0) ids.push_back(symbol.id);
    }
  }

 private:
  struct Symbol {
    int32_t id;  // −1: part of the symbol before it
    int64_t previous, next;
  };
  struct Candidate {
    int32_t rank;
    int64_t at;
    bool operator<(const Candidate& other) const {  // the heap's top is its greatest
      return rank != other.rank ? rank > other.rank : at > other.at;
    }
  };

  Symbol& at(int64_t i) { return symbols_[static_cast<size_t>(i)]; }

  void push(int64_t i) {
    const Symbol& left = at(i);
    if (left.next < 0) return;
    const Entry* entry = bpe_.find(left.id, at(left.next).id);
    if (entry != nullptr) heap_.push({entry->rank, i});
  }

  void join(int64_t i, int32_t result) {
    Symbol& left = at(i);
    Symbol& right = at(left.next);
    left.id = result;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) at(left.next).previous = i;
    if (left.previous >= 0) push(left.previous);
    push(i);
  }

  const Bpe& bpe_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Candidate> heap_;
};

void Bpe::merge_word(std::string_view word, std::vector<int32_t>& ids) const {
  if (!whole_.empty()) {
    if (const auto found = whole_.find(std::string(word)); found != whole_.end()) return ids.push_back(found->second);
  }
  if (word.size() <= kShortWord) {
    std::array<int32_t, kShortWord> symbols;
    size_t n = 0;
    start(word, [&](int32_t id) { symbols[n++] = id; });
    return merge_short(std::span(symbols).first(n), ids);
  }
  LongWord symbols(*this, word);
  symbols.merge();
  symbols.append_to(ids);
}

void Bpe::merge_short(std::span<int32_t> symbols, std::vector<int32_t>& ids) const {
  std::array<const Entry*, kShortWord> merges;  // of symbols i and i + 1
  size_t n = symbols.size();
  for (size_t i = 0; i + 1 < n; ++i) merges[i] = find(symbols[i], symbols[i + 1]);
  while (true) {
    size_t best = n;
    for (size_t i = 0; i + 1 < n; ++i) {
      if (merges[i] != nullptr && (best == n || merges[i]->rank < merges[best]->rank)) best = i;
    }
    if (best == n) break;
    symbols[best] = merges[best]->result;
    for (size_t i = best + 1; i + 1 < n; ++i) symbols[i] = symbols[i + 1];
    for (size_t i = best + 1; i + 2 < n; ++i) merges[i] = merges[i + 1];
    --n;
    if (best > 0) merges[best - 1] = find(symbols[best - 1], symbols[best]);
    if (best + 1 < n) merges[best] = find(symbols[best], symbols[best + 1]);
  }
  ids.insert(ids.end(), symbols.begin(), symbols.begin() + static_cast<std::ptrdiff_t>(n));
}

}  // namespace mfa
