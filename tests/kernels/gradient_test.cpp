// Every backward operation against central differences of its forward one, in double on the reference device.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/problem.h"

namespace mfa {
namespace {

using Numbers = std::vector<double>;

double inner(const Numbers& a, const Numbers& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// The loss whose gradient by the outputs is what backward starts from. `magnitude`: of the terms that it sums.
double loss(Problem& problem, double* magnitude = nullptr) {
  problem.forward();
  double sum = 0;
  for (const Problem::Output& output : problem.outputs) {
    const Numbers y = read(problem.operands->device(), output.value);
    const Numbers dy = read(problem.operands->device(), output.gradient);
    sum += inner(y, dy);
    for (size_t i = 0; magnitude != nullptr && i < y.size(); ++i) *magnitude += std::abs(y[i] * dy[i]);
  }
  return sum;
}

// The gradient that backward wrote, without what it was added to.
Numbers analytic_gradient(Problem& problem, const Problem::Input& input) {
  Numbers total(input.value.size());
  for (const Tensor& part : input.gradients) {
    const Numbers numbers = read(problem.operands->device(), part);
    for (int64_t i = 0; i < part.size(); ++i)
      total[i / part.cols * input.value.cols + i % part.cols] += numbers[i] - input.base;
  }
  return total;
}

// Directions along which to differentiate: each number by itself, or for large tensors 12 random unit vectors (an error
// in any number shows in each of them, with probability 1).
std::vector<Numbers> directions(size_t size) {
  if (size <= 64) {
    std::vector<Numbers> units(size, Numbers(size));
    for (size_t i = 0; i < size; ++i) units[i][i] = 1;
    return units;
  }
  Random random(3);
  std::vector<Numbers> all(12, Numbers(size));
  for (Numbers& direction : all) {
    for (double& x : direction) x = random.normal();
    const double length = std::sqrt(inner(direction, direction));
    for (double& x : direction) x /= length;
  }
  return all;
}

Numbers moved(const Numbers& x, const Numbers& direction, double step) {
  Numbers y = x;
  for (size_t i = 0; i < x.size(); ++i) y[i] += step * direction[i];
  return y;
}

// ‖a − n‖ ≤ 1e-6 (‖a‖ + ‖n‖) + noise. The noise is what rounding alone makes of a difference quotient whose loss sums
// terms of total size M: 2⁻⁵² M / step in each component; it matters where the true gradient is 0 (one token).
void expect_gradients(Problem& problem, double step) {
  Device& device = problem.operands->device();
  double magnitude = 0;
  loss(problem, &magnitude);
  problem.backward();
  for (const Problem::Input& input : problem.inputs) {
    const Numbers gradient = analytic_gradient(problem, input), x = read(device, input.value);
    Numbers analytic, numeric;
    for (const Numbers& direction : directions(x.size())) {
      analytic.push_back(inner(gradient, direction));
      write(device, input.value, moved(x, direction, step));
      const double above = loss(problem);
      write(device, input.value, moved(x, direction, -step));
      numeric.push_back((above - loss(problem)) / (2 * step));
    }
    write(device, input.value, x);
    const Numbers error = moved(analytic, numeric, -1);
    const double length = std::sqrt(inner(analytic, analytic)) + std::sqrt(inner(numeric, numeric));
    const double noise = 0x1p-52 * magnitude / step * std::sqrt(static_cast<double>(analytic.size()));
    EXPECT_LE(std::sqrt(inner(error, error)), 1e-6 * length + noise) << input.name << ", ‖a‖ + ‖n‖ = " << length;
    EXPECT_LT(noise, std::max(1e-5, 1e-5 * length)) << input.name << ": the difference quotient says nothing";
  }
}

// Truncation errs by step² · f''' / 6, rounding by 2⁻⁵² M / step: 1e-5 keeps both near 1e-10 for numbers of size 1.
template <class Case, class Keep>
void expect_gradients(const std::vector<Case>& cases, Keep keep, double step = 1e-5) {
  const auto device = make_reference_device(DType::f64);
  int kept = 0;
  for (const Case& c : cases) {
    if (!keep(c)) continue;
    SCOPED_TRACE(describe(c));
    Problem problem = make_problem(*device, c);
    expect_gradients(problem, step);
    ++kept;
  }
  EXPECT_GT(kept, 2);
}
const auto all = [](const auto&) { return true; };

TEST(Gradient, Matmul) {
  expect_gradients(shapes::matmul,
                   [](const auto& c) { return c.precision == Precision::f32; });  // rounding has no slope
}
TEST(Gradient, Norm) { expect_gradients(shapes::norm, all); }
TEST(Gradient, Rope) { expect_gradients(shapes::rope, all); }
TEST(Gradient, CopyHeads) {
  // An accumulated copy back adds to zeros here, an accumulated copy forward to a constant: both have the plain slope.
  expect_gradients(shapes::copy_heads, all);
}
TEST(Gradient, Gate) { expect_gradients(shapes::gate, all); }
TEST(Gradient, Swiglu) { expect_gradients(shapes::swiglu, all); }
TEST(Gradient, Embedding) { expect_gradients(shapes::embedding, all); }
TEST(Gradient, Bias) { expect_gradients(shapes::bias, all); }
TEST(Gradient, CrossEntropy) { expect_gradients(shapes::cross_entropy, all); }
TEST(Gradient, Attention) {
  // A numeric gradient takes up to 128 forward passes: cases of more than 6 million products are for comparison only.
  expect_gradients(shapes::attention, [](const auto& c) { return c.products() < 6'000'000; });
}

}  // namespace
}  // namespace mfa
