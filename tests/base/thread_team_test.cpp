#include "base/thread_team.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

namespace mfa {
namespace {

class ThreadTeam : public testing::Test {
 protected:
  ~ThreadTeam() override { set_num_threads(0); }
};

std::vector<std::pair<int64_t, int64_t>> pieces_of(int64_t n) {
  std::mutex mutex;
  std::vector<std::pair<int64_t, int64_t>> pieces;
  parallel_for(n, [&](int64_t begin, int64_t end) {
    const std::lock_guard lock(mutex);
    pieces.emplace_back(begin, end);
  });
  std::sort(pieces.begin(), pieces.end());
  return pieces;
}

TEST_F(ThreadTeam, PiecesTileTheRange) {
  for (const int threads : {1, 2, 3, 8}) {
    set_num_threads(threads);
    EXPECT_EQ(num_threads(), threads);
    for (const int64_t n : {1, 2, 3, 7, 8, 9, 1000}) {
      const auto pieces = pieces_of(n);
      EXPECT_EQ(static_cast<int64_t>(pieces.size()), std::min<int64_t>(n, threads));
      int64_t at = 0, shortest = n, longest = 0;
      for (const auto& [begin, end] : pieces) {
        EXPECT_EQ(begin, at);
        at = end;
        shortest = std::min(shortest, end - begin);
        longest = std::max(longest, end - begin);
      }
      EXPECT_EQ(at, n);
      EXPECT_LE(longest - shortest, 1) << n << " over " << threads;
    }
  }
}

TEST_F(ThreadTeam, CutDependsOnTheNumbersAlone) {
  set_num_threads(3);
  const auto first = pieces_of(100);
  for (int i = 0; i < 20; ++i) ASSERT_EQ(pieces_of(100), first);
}

TEST_F(ThreadTeam, NothingToDoCallsNobody) {
  set_num_threads(4);
  parallel_for(0, [](int64_t, int64_t) { FAIL(); });
  parallel_for(-1, [](int64_t, int64_t) { FAIL(); });
  parallel_tasks(0, [](int64_t, int) { FAIL(); });
}

TEST_F(ThreadTeam, EachTaskRunsOnceOnAKnownThread) {
  for (const int threads : {1, 4}) {
    set_num_threads(threads);
    std::vector<std::atomic<int>> runs(200);
    std::atomic<bool> known = true;
    parallel_tasks(200, [&](int64_t i, int thread) {
      ++runs[static_cast<size_t>(i)];
      if (thread < 0 || thread >= threads) known = false;
    });
    for (const auto& count : runs) EXPECT_EQ(count, 1);
    EXPECT_TRUE(known);
  }
}

TEST_F(ThreadTeam, NestedCallsDoAllTheWork) {
  set_num_threads(4);
  std::atomic<int64_t> sum = 0;
  parallel_for(8, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      parallel_for(10, [&](int64_t from, int64_t to) {
        for (int64_t j = from; j < to; ++j) sum += 10 * i + j;
      });
  });
  EXPECT_EQ(sum, 80 * 79 / 2);
}

TEST_F(ThreadTeam, ZeroMeansTheUsableCores) {
  set_num_threads(0);
  EXPECT_GE(num_threads(), 1);
  set_num_threads(3);
  EXPECT_EQ(num_threads(), 3);
}

}  // namespace
}  // namespace mfa
