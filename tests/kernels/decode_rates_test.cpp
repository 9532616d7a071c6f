#include "kernels/decode_rates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "kernels/paged_schedule.h"

namespace mfa {
namespace {

TEST(RateCurve, IsStraightBetweenItsPointsAndBeyondTheLast) {
  const RateCurve curve{{10, 20, 40}, {1, 2, 8}};
  EXPECT_DOUBLE_EQ(curve.at(10), 1);
  EXPECT_DOUBLE_EQ(curve.at(15), 1.5);
  EXPECT_DOUBLE_EQ(curve.at(20), 2);
  EXPECT_DOUBLE_EQ(curve.at(30), 5);
  EXPECT_DOUBLE_EQ(curve.at(40), 8);
  EXPECT_DOUBLE_EQ(curve.at(60), 14);
  EXPECT_DOUBLE_EQ(curve.at(1), 1);  // a call takes what the smallest call takes
  EXPECT_DOUBLE_EQ((RateCurve{{5}, {3}}.at(100)), 3);
  EXPECT_DOUBLE_EQ(RateCurve{}.at(100), 0);
}

// The tasks of attention_paged, whole splits first, each taken by the thread that is free first.
int64_t simulated(int64_t blocks, int64_t tokens, int64_t split, int64_t threads) {
  std::vector<int64_t> tasks;
  if (!splits_apart(blocks, threads)) {
    tasks.assign(static_cast<size_t>(blocks), tokens);
  } else {
    for (int64_t block = 0; block < blocks; ++block)
      for (int64_t begin = 0; begin < tokens; begin += split) tasks.push_back(std::min(split, tokens - begin));
    std::sort(tasks.rbegin(), tasks.rend());
  }
  std::vector<int64_t> busy(static_cast<size_t>(threads), 0);
  for (const int64_t task : tasks) *std::min_element(busy.begin(), busy.end()) += task;
  return *std::max_element(busy.begin(), busy.end());
}

TEST(PagedSchedule, CountsTheTokensOfTheBusiestThread) {
  for (const int64_t threads : {1, 2, 3, 8, 64})
    for (const int64_t blocks : {1, 2, 3, 7, 8, 12, 40, 300})
      for (const int64_t tokens : {1, 511, 512, 513, 1024, 1500, 4096, 16384, 20000}) {
        const int64_t counted = busiest_thread_tokens(blocks, tokens, 512, threads),
                      real = simulated(blocks, tokens, 512, threads);
        // A last round of rests counts whole, though some of its threads may have begun it early: one rest at most.
        EXPECT_GE(counted, real) << threads << ' ' << blocks << ' ' << tokens;
        EXPECT_LE(counted, real + tokens % 512) << threads << ' ' << blocks << ' ' << tokens;
      }
}

}  // namespace
}  // namespace mfa
