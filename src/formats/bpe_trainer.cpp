#include <algorithm>
#include <queue>

#include "base/error.h"
#include "formats/tokenizer.h"

namespace mfa {
namespace {

constexpr size_t kBytes = 256;
constexpr int64_t kMaxVocab = int64_t{1} << 20;  // what reading accepts
// Each merge rewrites every word that holds its pair, so a megabyte without a space (base64, minified code) would be
// walked thousands of times; longer words are learned in parts of this many bytes.
constexpr size_t kMaxWord = 256;

const PreTokenizer& gpt2_pre_tokenizer() {
  static const PreTokenizer pre_tokenizer(std::vector{Regex(kGpt2Pattern, "GPT-2's pattern")});
  return pre_tokenizer;
}

uint64_t pair_of(int32_t left, int32_t right) {
  return (static_cast<uint64_t>(left) << 32) | static_cast<uint64_t>(right);
}

// Words as lists of ids; how often each pair of neighbours occurs, and in which words; a heap of the pairs. A merge
// touches only the words that hold its pair.
class MergeLearner {
 public:
  explicit MergeLearner(const std::unordered_map<std::string, int64_t>& words) {
    for (const auto& [text, count] : words) {
      for (size_t i = 0; i < text.size(); i += kMaxWord) add_word(std::string_view(text).substr(i, kMaxWord), count);
    }
    for (size_t byte = 0; byte < kBytes; ++byte) new_token(std::string(1, static_cast<char>(byte)));
    for (const auto& [pair, about] : pairs_) heap_.push({about.count, pair});
  }

  void learn(size_t tokens) {
    while (tokens_.size() < tokens && !heap_.empty()) {
      const Candidate best = heap_.top();
      heap_.pop();
      const auto found = pairs_.find(best.pair);
      if (found == pairs_.end()) continue;
      if (found->second.count != best.count) {  // it lost some to other merges since it was pushed
        if (found->second.count > 0) heap_.push({found->second.count, best.pair});
        continue;
      }
      if (best.count > 0) merge(best.pair);
    }
  }

  const std::vector<std::string>& tokens() const { return tokens_; }
  const std::vector<Merge>& merges() const { return merges_; }

 private:
  struct Word {
    std::vector<int32_t> ids;
    int64_t count;
  };
  struct Pair {
    int64_t count = 0;
    std::vector<uint32_t> words;  // those that hold it, or once did; may repeat
  };
  struct Candidate {
    int64_t count;
    uint64_t pair;
    bool operator<(const Candidate& other) const {  // the top: the largest count, then the lowest ids
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  void add_word(std::string_view text, int64_t count) {
    Word word{{}, count};
    for (const char byte : text) word.ids.push_back(static_cast<uint8_t>(byte));
    const auto index = static_cast<uint32_t>(words_.size());
    for (size_t i = 0; i + 1 < word.ids.size(); ++i) {
      Pair& pair = pairs_[pair_of(word.ids[i], word.ids[i + 1])];
      pair.count += count;
      if (pair.words.empty() || pair.words.back() != index) pair.words.push_back(index);
    }
    words_.push_back(std::move(word));
  }

  // Two pairs may spell the same token ("a"+"bc", "ab"+"c"): then both lead to one id.
  int32_t new_token(const std::string& bytes) {
    const auto [entry, added] = ids_.emplace(bytes, static_cast<int32_t>(tokens_.size()));
    if (added) tokens_.push_back(bytes);
    return entry->second;
  }

  void merge(uint64_t pair) {
    const auto left = static_cast<int32_t>(pair >> 32), right = static_cast<int32_t>(pair & 0xffffffffu);
    const int32_t result = new_token(tokens_[static_cast<size_t>(left)] + tokens_[static_cast<size_t>(right)]);
    merges_.push_back({left, right, result});
    const std::vector<uint32_t> words = std::move(pairs_[pair].words);
    raised_.clear();
    for (const uint32_t word : words) merge_in_word(word, merges_.back());
    pairs_.erase(pair);
    std::sort(raised_.begin(), raised_.end());
    raised_.erase(std::unique(raised_.begin(), raised_.end()), raised_.end());
    for (const uint64_t other : raised_) {
      const auto found = pairs_.find(other);
      if (found != pairs_.end()) heap_.push({found->second.count, other});
    }
  }

  void merge_in_word(uint32_t index, const Merge& merge) {
    std::vector<int32_t>& ids = words_[index].ids;
    const auto holds = [&](size_t i) {
      return i + 1 < ids.size() && ids[i] == merge.left && ids[i + 1] == merge.right;
    };
    size_t first = 0;
    while (first + 1 < ids.size() && !holds(first)) ++first;
    if (first + 1 >= ids.size()) return;
    const int64_t count = words_[index].count;
    for (size_t i = 0; i + 1 < ids.size(); ++i) pairs_[pair_of(ids[i], ids[i + 1])].count -= count;
    size_t to = first;
    for (size_t from = first; from < ids.size();) {
      const bool merged = holds(from);
      ids[to++] = merged ? merge.result : ids[from];
      from += merged ? 2 : 1;
    }
    ids.resize(to);
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      Pair& pair = pairs_[pair_of(ids[i], ids[i + 1])];
      pair.count += count;
      if (ids[i] != merge.result && ids[i + 1] != merge.result) continue;  // it was here before
      if (pair.words.empty() || pair.words.back() != index) pair.words.push_back(index);
      raised_.push_back(pair_of(ids[i], ids[i + 1]));
    }
  }

  std::vector<Word> words_;
  std::unordered_map<uint64_t, Pair> pairs_;
  std::priority_queue<Candidate> heap_;
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<Merge> merges_;
  std::vector<uint64_t> raised_;  // pairs whose count this merge may have raised
};

}  // namespace

void BpeTrainer::add(std::string_view text) {
  std::string key;
  gpt2_pre_tokenizer().for_each_piece(text, [&](std::string_view piece) { ++words_[key.assign(piece)]; });
}

void BpeTrainer::merge_counts(const BpeTrainer& other) {
  for (const auto& [word, count] : other.words_) words_[word] += count;
}

Tokenizer BpeTrainer::train(int64_t vocab_size) const {
  constexpr int64_t least = static_cast<int64_t>(kBytes) + 1;
  if (vocab_size < least || vocab_size > kMaxVocab) {
    bad_input("[tokenizer] size of the vocabulary, got {}, expected {} to {}", vocab_size, least, kMaxVocab);
  }
  MergeLearner learner(words_);
  learner.learn(static_cast<size_t>(vocab_size) - 1);
  return Tokenizer::from_description(describe_byte_level(learner.tokens(), learner.merges(), "<|endoftext|>", true),
                                     "trained tokenizer");
}

}  // namespace mfa
