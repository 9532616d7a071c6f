#include "formats/bpe.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <numeric>
#include <set>

#include "base/random.h"
#include "formats/json.h"
#include "formats/pre_tokenizer.h"
#include "formats/test_files.h"
#include "formats/tokenizer.h"
#include "formats/tokenizer_json.h"

namespace mfa {
namespace {

std::string bytes_of(int first, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += static_cast<char>(first + i);
  return text;
}

// The definition: join the leftmost pair of the lowest rank until none is left.
std::vector<int32_t> merged_slowly(std::vector<int32_t> ids, const std::vector<Merge>& merges) {
  while (true) {
    bool joined = false;
    for (const Merge& merge : merges) {
      for (size_t i = 0; i + 1 < ids.size() && !joined; ++i) {
        if (ids[i] != merge.left || ids[i + 1] != merge.right) continue;
        ids[i] = merge.result;
        ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        joined = true;
      }
      if (joined) break;
    }
    if (!joined) return ids;
  }
}

// Random merges over few letters, so that they overlap in every way; some spell one token twice.
TEST(Bpe, FollowsTheDefinition) {
  Random random(5);
  std::array<int32_t, 256> byte_ids;
  std::iota(byte_ids.begin(), byte_ids.end(), 0);
  for (int round = 0; round < 30; ++round) {
    std::vector<int32_t> pool = {'a', 'b', 'c'};
    std::set<std::pair<int32_t, int32_t>> used;
    std::vector<Merge> merges;
    for (int i = 0; i < 20; ++i) {
      const int32_t left = pool[random.below(pool.size())], right = pool[random.below(pool.size())];
      if (!used.emplace(left, right).second) continue;
      merges.push_back({left, right, 256 + i});
      pool.push_back(256 + i);
    }
    const Bpe bpe(byte_ids, merges, {});
    for (const size_t length : {0u, 1u, 2u, 3u, 7u, 21u, 22u, 23u, 31u, 32u, 33u, 34u, 100u, 300u}) {
      std::string word;
      while (word.size() < length) word += static_cast<char>('a' + random.below(3));
      std::vector<int32_t> first, again;
      bpe.encode_word(word, first);
      bpe.encode_word(word, again);  // now from the cache
      EXPECT_EQ(first, merged_slowly(std::vector<int32_t>(word.begin(), word.end()), merges)) << word;
      EXPECT_EQ(first, again);
    }
  }
}

TEST(Bpe, LooksUpWholeWordsFirst) {
  std::array<int32_t, 256> byte_ids;
  std::iota(byte_ids.begin(), byte_ids.end(), 0);
  const Bpe bpe(byte_ids, std::vector<Merge>{{'a', 'b', 300}}, {{"abc", 400}});
  std::vector<int32_t> ids;
  for (const std::string_view word : {"abc", "ab", "abcd"}) bpe.encode_word(word, ids);
  EXPECT_EQ(ids, (std::vector<int32_t>{400, 300, 300, 'c', 'd'}));
}

// The trainer, slowly: counts all pairs anew for every merge.
std::vector<std::string> learn_slowly(const std::string& text, size_t tokens) {
  std::map<std::string, int64_t> counts;
  PreTokenizer({Regex(kGpt2Pattern, "pattern")}).for_each_piece(text, [&](std::string_view piece) {
    ++counts[std::string(piece)];
  });
  std::vector<std::pair<std::vector<int32_t>, int64_t>> words;
  for (const auto& [word, count] : counts) {
    words.emplace_back();
    for (const char byte : word) words.back().first.push_back(static_cast<uint8_t>(byte));
    words.back().second = count;
  }
  std::vector<std::string> names;
  for (int byte = 0; byte < 256; ++byte) names.push_back(bytes_of(byte, 1));
  while (names.size() < tokens) {
    std::map<std::pair<int32_t, int32_t>, int64_t> pairs;  // in order of ids: the first of the largest wins
    for (const auto& [ids, count] : words) {
      for (size_t i = 0; i + 1 < ids.size(); ++i) pairs[{ids[i], ids[i + 1]}] += count;
    }
    const auto best =
        std::max_element(pairs.begin(), pairs.end(), [](auto& a, auto& b) { return a.second < b.second; });
    if (best == pairs.end()) break;
    const auto [left, right] = best->first;
    const std::string name = names[static_cast<size_t>(left)] + names[static_cast<size_t>(right)];
    const auto known = std::find(names.begin(), names.end(), name);
    const auto result = static_cast<int32_t>(known - names.begin());
    if (known == names.end()) names.push_back(name);
    for (auto& [ids, count] : words) {
      std::vector<int32_t> joined;
      for (size_t i = 0; i < ids.size(); ++i) {
        const bool here = i + 1 < ids.size() && ids[i] == left && ids[i + 1] == right;
        joined.push_back(here ? result : ids[i]);
        i += here;
      }
      ids = joined;
    }
  }
  return names;
}

std::vector<std::string> tokens_of(const Tokenizer& tokenizer) {
  std::vector<std::string> tokens;
  for (int64_t id = 0; id < tokenizer.vocab_size(); ++id)
    tokens.emplace_back(tokenizer.token_bytes(static_cast<int32_t>(id)));
  return tokens;
}

TEST(Trainer, FollowsTheDefinition) {
  const std::string text = fixture("tokenizer/text.txt") + " aaaa aaaaa aaaaaaa abab ababa \xff\xff\xff\xff";
  BpeTrainer trainer;
  trainer.add(text);
  std::vector<std::string> expected = learn_slowly(text, 599);
  expected.push_back("<|endoftext|>");
  EXPECT_EQ(tokens_of(trainer.train(600)), expected);
}

TEST(Trainer, MakesTheFixture) {
  BpeTrainer trainer;
  trainer.add(fixture("tokenizer/text.txt"));
  const std::string json = trainer.train(700).to_json();
  if (std::getenv("MFA_WRITE_FIXTURE") != nullptr)
    write_file(fs::path(MFA_FIXTURES) / "tokenizer/tokenizer.json", json);
  EXPECT_EQ(json, fixture("tokenizer/tokenizer.json"));
}

TEST(Trainer, PiecesAndTheirOrderDoNotMatter) {
  const std::string text = fixture("tokenizer/text.txt");
  std::vector<std::string> documents;
  for (size_t at = 0; at < text.size(); at += 500) documents.push_back(text.substr(at, 500));
  BpeTrainer forward, backward, left, right;
  for (const std::string& document : documents) forward.add(document);
  for (size_t i = documents.size(); i-- > 0;) backward.add(documents[i]);
  for (size_t i = 0; i < documents.size(); ++i) (i % 3 == 0 ? left : right).add(documents[i]);
  right.merge_counts(left);
  const std::string expected = forward.train(500).to_json();
  EXPECT_EQ(backward.train(500).to_json(), expected);
  EXPECT_EQ(right.train(500).to_json(), expected);
}

TEST(Trainer, StopsWhereNoPairIsLeft) {
  BpeTrainer trainer;
  EXPECT_EQ(trainer.train(1000).vocab_size(), 257);
  trainer.add("abc abc");
  const Tokenizer tokenizer = trainer.train(1000);
  EXPECT_EQ(tokenizer.vocab_size(), 260);  // ab, abc, " abc"
  EXPECT_EQ(tokenizer.eos(), 259);
  EXPECT_EQ(tokenizer.encode("abc abc"), (std::vector<int32_t>{257, 258}));
  for (const int64_t size : {int64_t{-1}, int64_t{256}, int64_t{1} << 40}) {
    expect_bad_input([&] { trainer.train(size); }, "size of the vocabulary, got " + std::to_string(size));
  }
}

// In one part, the merges of this word would double up to its whole length.
TEST(Trainer, LongWordsAreLearnedInParts) {
  BpeTrainer trainer;
  trainer.add(std::string(1 << 14, 'a'));
  const std::vector<std::string> tokens = tokens_of(trainer.train(300));
  ASSERT_EQ(tokens.size(), 256u + 8 + 1);  // 2, 4, … 256 letters
  EXPECT_EQ(tokens[263], std::string(256, 'a'));
}

}  // namespace
}  // namespace mfa
