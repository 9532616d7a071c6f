// How a text is cut: each token once, or the second halves.
#include "eval/windows.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace mfa {
namespace {

// How often each token of the text is a target that counts.
std::vector<int> times_scored(int64_t tokens, const WindowOptions& options) {
  std::vector<int> times(static_cast<size_t>(tokens), 0);
  for (const Window& w : cut_windows(tokens, options))
    for (int64_t t = w.scored_from; t < w.count; ++t) ++times.at(static_cast<size_t>(w.begin + t + 1));
  return times;
}

TEST(Windows, AllScoresEachTokenButTheFirstOnce) {
  for (const int64_t tokens : {2, 3, 16, 17, 18, 100})
    for (const int64_t context : {1, 7, 16, 200})
      for (int64_t stride = 0; stride <= context; stride += 3) {
        std::vector<int> expected(static_cast<size_t>(tokens), 1);
        expected[0] = 0;
        EXPECT_EQ(times_scored(tokens, {.context = context, .stride = stride}), expected);
      }
}

// As llama-perplexity: of window [i·n, (i + 1)·n) the tokens n/2 + 1 … n − 1 count; the rest of the text does not.
TEST(Windows, LastHalfScoresTheSecondHalfOfEachWholeWindow) {
  for (const int64_t context : {3, 8, 9, 512})
    for (const int64_t tokens : {context, 2 * context - 1, 3 * context}) {
      std::vector<int> expected(static_cast<size_t>(tokens), 0);
      for (int64_t i = 0; i < tokens / context * context; ++i)
        expected[static_cast<size_t>(i)] = i % context > context / 2;
      EXPECT_EQ(times_scored(tokens, {.context = context, .score = Score::last_half}), expected);
    }
  EXPECT_EQ(cut_windows(1024, {.context = 512, .score = Score::last_half}),
            (std::vector<Window>{{0, 511, 256}, {512, 511, 256}}));
}

TEST(Windows, TheLimitKeepsTheFirst) {
  EXPECT_EQ(cut_windows(100, {.context = 10, .windows = 3}),
            (std::vector<Window>{{0, 10, 0}, {10, 10, 0}, {20, 10, 0}}));
  EXPECT_EQ(cut_windows(100, {.context = 10, .windows = 300}).size(), 10u);
}

TEST(Windows, BosStandsInForTheFirstToken) {
  const std::vector<int32_t> ids = {4, 5, 6, 7, 8};
  EXPECT_EQ(window_ids(ids, {1, 3, 0}, -1), (std::vector<int32_t>{5, 6, 7}));
  EXPECT_EQ(window_ids(ids, {1, 3, 0}, 0), (std::vector<int32_t>{0, 6, 7}));
}

TEST(Windows, WhatDoesNotFitIsBadInput) {
  EXPECT_THROW(cut_windows(1, {.context = 4}), BadInput);
  EXPECT_THROW(cut_windows(10, {.context = 0}), BadInput);
  EXPECT_THROW(cut_windows(10, {.context = 4, .stride = 5}), BadInput);
  EXPECT_THROW(cut_windows(10, {.context = 4, .stride = -1}), BadInput);
  EXPECT_THROW(cut_windows(10, {.context = 4, .windows = -1}), BadInput);
  EXPECT_THROW(cut_windows(10, {.context = 11, .score = Score::last_half}), BadInput);
  EXPECT_THROW(cut_windows(10, {.context = 2, .score = Score::last_half}), BadInput);
  EXPECT_THROW(cut_windows(10, {.context = 4, .stride = 2, .score = Score::last_half}), BadInput);
}

}  // namespace
}  // namespace mfa
