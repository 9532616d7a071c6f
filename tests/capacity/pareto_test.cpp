// The front against its definition: every pair of points compared.
#include "capacity/pareto.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace mfa {
namespace {

// O(n²), straight from the definition.
std::vector<uint32_t> brute_force_front(const std::vector<Objectives>& points) {
  std::vector<uint32_t> front;
  for (uint32_t i = 0; i < points.size(); ++i) {
    bool lost = false;
    for (uint32_t j = 0; j < points.size() && !lost; ++j)
      lost = dominates(points[j], points[i]) || (j < i && points[j] == points[i]);
    if (!lost) front.push_back(i);
  }
  return front;
}

TEST(Dominates, IsAStrictOrder) {
  const Objectives a = {1, 1, 0, 0, 0}, b = {1, 2, 0, 0, 0}, c = {2, 1, 0, 0, 0};
  EXPECT_TRUE(dominates(a, b));
  EXPECT_TRUE(dominates(a, c));
  EXPECT_FALSE(dominates(a, a));
  EXPECT_FALSE(dominates(b, a));
  EXPECT_FALSE(dominates(b, c));
  EXPECT_FALSE(dominates(c, b));
}

TEST(ParetoFront, OfNothingIsEmpty) { EXPECT_TRUE(pareto_front({}).empty()); }

TEST(ParetoFront, KeepsTheFirstOfEqualPoints) {
  const std::vector<Objectives> points = {{3, 0}, {1, 2}, {1, 2}, {2, 2}, {1, 2}};
  EXPECT_EQ(pareto_front(points), (std::vector<uint32_t>{0, 1}));
}

// Few distinct values make ties and duplicates common, many make long fronts; fewer coordinates make short ones.
TEST(ParetoFront, EqualsBruteForceOnRandomPoints) {
  Random random(17);
  for (const uint64_t values : {2, 4, 30, 1000000}) {
    for (size_t coordinates = 1; coordinates <= kObjectives; ++coordinates) {
      for (const size_t n : {1, 2, 50, 2000}) {
        std::vector<Objectives> points(n, Objectives{});
        for (Objectives& point : points)
          for (size_t i = 0; i < coordinates; ++i) point[i] = static_cast<double>(random.below(values)) - 7;
        EXPECT_EQ(pareto_front(points), brute_force_front(points))
            << n << " points of " << coordinates << " coordinates out of " << values;
      }
    }
  }
}

// The longest front there is: no point dominates another.
TEST(ParetoFront, KeepsAllPointsOfAnAntichain) {
  std::vector<Objectives> points;
  for (int i = 0; i < 3000; ++i) points.push_back({static_cast<double>(i), static_cast<double>(-i)});
  EXPECT_EQ(pareto_front(points).size(), points.size());
}

}  // namespace
}  // namespace mfa
