#include "train/safe_cut.h"

#include <gtest/gtest.h>

#include <iterator>

#include "base/random.h"
#include "formats/pre_tokenizer.h"

namespace mfa {
namespace {

// Letters, digits, marks, contractions and white space of every kind, close together, so that each rule of the
// pre-tokenizers' expressions is met with each other one.
std::string random_text(uint64_t seed, int pieces) {
  static const char* const parts[] = {"a",  "b",  "Z",  "1",   "23",     "'s",     "'",      ".",      "!?",
                                      "/",  " ",  "  ", "\n",  "\n\n",   "\r\n",   "\t",     "é",      "中",
                                      "文", "。", "́",   "　",  "\u00a0", "\u2028", "\u0085", "\u200b", "😀",
                                      "\n", " ",  "a",  "the", "٣",      "//",     "\xff",   "\xe4",   "_"};
  Random random(seed);
  std::string text;
  for (int i = 0; i < pieces; ++i) text += parts[random.below(std::size(parts))];
  return text;
}

std::vector<std::string> words_of(const PreTokenizer& pre_tokenizer, std::string_view text) {
  std::vector<std::string> words;
  pre_tokenizer.for_each_piece(text, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

bool cut_keeps_words(const PreTokenizer& pre_tokenizer, std::string_view text, size_t cut) {
  std::vector<std::string> words = words_of(pre_tokenizer, text.substr(0, cut));
  for (std::string& word : words_of(pre_tokenizer, text.substr(cut))) words.push_back(std::move(word));
  return words == words_of(pre_tokenizer, text);
}

// Equal words have equal tokens, whatever the merges are.
void check_cuts(const std::vector<std::string_view>& patterns) {
  std::vector<Regex> splits;
  for (const std::string_view pattern : patterns) splits.emplace_back(pattern, "test");
  const PreTokenizer pre_tokenizer(std::move(splits));
  int safe = 0, unsafe_and_different = 0;
  for (uint64_t seed = 100; seed < 500; ++seed) {
    const std::string text = random_text(seed, 60);
    for (size_t i = 1; i < text.size(); ++i) {
      const bool kept = cut_keeps_words(pre_tokenizer, text, i);
      if (safe_cut_at(text, i)) {
        ++safe;
        EXPECT_TRUE(kept) << "seed " << seed << " at " << i;
      } else if (!kept) {
        ++unsafe_and_different;
      }
    }
  }
  EXPECT_GT(safe, 300);                  // there is something to cut at
  EXPECT_GT(unsafe_and_different, 300);  // and this text does tell a good cut from a bad one
}

TEST(SafeCut, KeepsTheWordsOfGpt2) { check_cuts({kGpt2Pattern}); }

TEST(SafeCut, KeepsTheWordsOfLlama3) {
  check_cuts({R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
              R"(\s*[\r\n]+|\s+(?!\S)|\s+)"});
}

TEST(SafeCut, KeepsTheWordsOfGpt4o) {
  check_cuts(
      {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
       R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
       R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"});
}

TEST(SafeCut, KeepsTheWordsOfDeepSeekV3) {
  check_cuts({R"(\p{N}{1,3})", "[一-龥぀-ゟ゠-ヿ]+",
              R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|)"
              R"( ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"});
}

TEST(SafeCut, KnowsTheTwoPlaces) {
  EXPECT_TRUE(safe_cut_at("a b", 1));
  EXPECT_FALSE(safe_cut_at("a  b", 1));
  EXPECT_FALSE(safe_cut_at("a  b", 2));
  EXPECT_FALSE(safe_cut_at("a 1", 1));
  EXPECT_TRUE(safe_cut_at("a\nb", 2));
  EXPECT_TRUE(safe_cut_at(".\n中", 2));
  EXPECT_TRUE(safe_cut_at("。\n1", 4));
  EXPECT_FALSE(safe_cut_at("a\n\nb", 3));
  EXPECT_FALSE(safe_cut_at("a\r\nb", 3));
  EXPECT_FALSE(safe_cut_at("　\nb", 4));  // an ideographic space before
  EXPECT_FALSE(safe_cut_at("a\n　", 2));
  EXPECT_FALSE(safe_cut_at("!\n/", 2));
  EXPECT_FALSE(safe_cut_at("\xff\nb", 2));
  EXPECT_FALSE(safe_cut_at("ab", 0));
  EXPECT_FALSE(safe_cut_at("a ", 1));
}

TEST(SafeCut, FindsTheLastAndTheFirst) {
  const std::string text = "ab cd\nef";
  EXPECT_EQ(last_safe_cut(text, 0, text.size()), 6u);
  EXPECT_EQ(last_safe_cut(text, 0, 6), 2u);
  EXPECT_EQ(last_safe_cut(text, 3, 6), 0u);
  EXPECT_EQ(first_safe_cut(text, 0, text.size()), 2u);
  EXPECT_EQ(first_safe_cut(text, 3, text.size()), 6u);
  EXPECT_EQ(first_safe_cut(text, 3, 6), 0u);
}

TEST(SafeCut, FindsCharacterBoundaries) {
  const std::string text = "a中b";
  EXPECT_EQ(character_boundary(text, 1), 1u);
  EXPECT_EQ(character_boundary(text, 2), 1u);
  EXPECT_EQ(character_boundary(text, 3), 1u);
  EXPECT_EQ(character_boundary(text, 4), 4u);
  EXPECT_EQ(character_boundary("\x80\x80\x80\x80\x80\x80", 5), 5u);
}

}  // namespace
}  // namespace mfa
