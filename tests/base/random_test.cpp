#include "base/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace mfa {
namespace {

// The first numbers that the authors' C program gives from the state {1, 2, 3, 4}.
TEST(Random, IsXoshiro256StarStar) {
  Random random(Random::State{1, 2, 3, 4});
  for (const uint64_t expected : {UINT64_C(11520), UINT64_C(0), UINT64_C(1509978240), UINT64_C(1215971899390074240),
                                  UINT64_C(1216172134540287360), UINT64_C(607988272756665600)})
    EXPECT_EQ(random.next(), expected);
}

// A stream must never change: checkpoints, recipes and published results name seeds. The values come from a separate
// implementation in Python, of SplitMix64 for the seed and xoshiro256** for the stream.
TEST(Random, StreamsOfASeedAreFixed) {
  const struct {
    uint64_t seed, stream, first[4];
  } golden[] = {
      {0, 0, {0xfb5405f7bd79c540, 0x780c98e26cea5883, 0x2a146e0980febc66, 0x4851477db8791fca}},
      {42, 0, {0x19e479e2aaa77bfb, 0x5e3efe753be27527, 0xc3ed7125b780200a, 0x85b911e2152f876e}},
      {42, 7, {0x62737c38a122f17b, 0xea6ebb82a9ba9daf, 0xd441ca1af7a73d34, 0x98876492b1a0996a}},
  };
  for (const auto& [seed, stream, first] : golden) {
    Random random(seed, stream);
    for (const uint64_t expected : first) EXPECT_EQ(random.next(), expected) << seed << " " << stream;
  }
}

TEST(Random, GoesOnFromItsState) {
  Random random(3);
  random.next();
  Random copy(random.state());
  for (int i = 0; i < 100; ++i) ASSERT_EQ(copy.next(), random.next());
}

TEST(Random, UniformStaysInsideAndIsEven) {
  Random random(1);
  constexpr int n = 100000;
  double sum = 0, squares = 0;
  for (int i = 0; i < n; ++i) {
    const double x = random.uniform();
    ASSERT_GE(x, 0.0);
    ASSERT_LT(x, 1.0);
    sum += x;
    squares += x * x;
  }
  // Standard deviations of the means: sqrt(1/12/n) = 0.00091 and sqrt(4/45/n) = 0.00094; five of them.
  EXPECT_NEAR(sum / n, 1.0 / 2, 0.0046);
  EXPECT_NEAR(squares / n, 1.0 / 3, 0.0048);
}

TEST(Random, NormalHasMeanVarianceAndTails) {
  Random random(2);
  constexpr int n = 100000;
  double sum = 0, squares = 0;
  int beyond_two = 0;
  for (int i = 0; i < n; ++i) {
    const double x = random.normal();
    ASSERT_TRUE(std::isfinite(x));
    sum += x;
    squares += x * x;
    beyond_two += std::abs(x) > 2;
  }
  // Five standard deviations: 1/sqrt(n), sqrt(2/n), and sqrt(p (1 − p)/n) with p = 0.0455.
  EXPECT_NEAR(sum / n, 0, 0.016);
  EXPECT_NEAR(squares / n, 1, 0.023);
  EXPECT_NEAR(beyond_two / static_cast<double>(n), 0.0455, 0.0033);
}

TEST(Random, BelowReachesEveryNumberEqually) {
  Random random(4);
  constexpr int n = 70000, bound = 7;
  std::vector<int> counts(bound, 0);
  for (int i = 0; i < n; ++i) {
    const uint64_t x = random.below(bound);
    ASSERT_LT(x, static_cast<uint64_t>(bound));
    ++counts[x];
  }
  // Five standard deviations of a count: 5 sqrt(n · 1/7 · 6/7) = 463.
  for (const int count : counts) EXPECT_NEAR(count, n / bound, 463);
}

TEST(Random, BelowIsFairWhereTheRemainderWouldShow) {
  // Of a bound of 3 · 2^62, numbers under 2^62 are a third. The plain remainder of 2^64 would fold the last quarter of
  // all draws onto them and make them a half.
  Random random(5);
  constexpr uint64_t bound = 3ull << 62;
  constexpr int n = 20000;
  int low = 0;
  for (int i = 0; i < n; ++i) low += random.below(bound) < (1ull << 62);
  EXPECT_NEAR(low, n / 3.0, 5 * std::sqrt(n * 2.0 / 9));
  EXPECT_EQ(random.below(1), 0u);
}

}  // namespace
}  // namespace mfa
