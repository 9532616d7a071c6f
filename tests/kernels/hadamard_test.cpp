// The rotation of int8 caches against its definition.
#include "kernels/hadamard.h"

#include <gtest/gtest.h>

#include <bit>
#include <vector>

namespace mfa {
namespace {

// Small whole numbers, so that every sum is exact.
std::vector<double> numbers(int64_t n) {
  std::vector<double> x;
  for (int64_t i = 0; i < n; ++i) x.push_back(static_cast<double>((i * 37 + 11) % 101 - 50));
  return x;
}

TEST(Hadamard, IsTheSignMatrixOfCommonBits) {
  for (const int64_t n : {1, 2, 8, 64}) {
    const std::vector<double> x = numbers(n);
    std::vector<double> y = x;
    hadamard(y.data(), n);
    for (int64_t i = 0; i < n; ++i) {
      double sum = 0;
      for (int64_t j = 0; j < n; ++j) sum += (std::popcount(static_cast<uint64_t>(i & j)) % 2 == 0 ? 1 : -1) * x[j];
      EXPECT_EQ(y[i], sum) << n << " numbers, number " << i;
    }
  }
}

// The dot product of a rotated vector with one that was rotated back is that of the vectors themselves, for dims that
// are no multiple of a group as well.
TEST(Hadamard, GroupsKeepDotProductsAndTurnBack) {
  for (const int64_t dim : {1, 7, 40, 64, 67, 192, 256}) {
    const std::vector<double> q = numbers(dim + 3);
    const std::vector<double> x = numbers(dim);
    std::vector<double> query(q.begin() + 3, q.end()), key = x;
    double plain = 0, rotated = 0;
    for (int64_t i = 0; i < dim; ++i) plain += query[i] * x[i];
    rotate_groups(key.data(), dim);
    rotate_groups_back(query.data(), dim);
    for (int64_t i = 0; i < dim; ++i) rotated += query[i] * key[i];
    EXPECT_EQ(rotated, plain) << dim;
    rotate_groups_back(key.data(), dim);
    EXPECT_EQ(key, x) << dim;
  }
}

}  // namespace
}  // namespace mfa
