// Every device against the reference in double, over the table of shapes.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/devices_under_test.h"
#include "kernels/problem.h"

namespace mfa {
namespace {

template <class Case>
void expect_devices_agree(const std::vector<Case>& cases) {
  const auto exact_device = make_reference_device(DType::f64);
  const auto devices = devices_under_test();
  for (const Case& c : cases) {
    Problem exact = make_problem(*exact_device, c);
    exact.forward();
    exact.backward();
    for (const auto& device : devices) {
      SCOPED_TRACE(title(*device) + ": " + describe(c));
      Problem problem = make_problem(*device, c);
      problem.forward();
      problem.backward();
      for (size_t i = 0; i < problem.results.size(); ++i) {
        const auto& [name, value, roundings, terms] = problem.results[i];
        EXPECT_EQ(difference(read(*device, value), read(*exact_device, exact.results[i].value), roundings, terms), "")
            << name;
      }
      EXPECT_TRUE(problem.operands->frames_intact());
    }
  }
}

TEST(Compare, Matmul) { expect_devices_agree(shapes::matmul); }
TEST(Compare, Norm) { expect_devices_agree(shapes::norm); }
TEST(Compare, Rope) { expect_devices_agree(shapes::rope); }
TEST(Compare, CopyHeads) { expect_devices_agree(shapes::copy_heads); }
TEST(Compare, Gate) { expect_devices_agree(shapes::gate); }
TEST(Compare, Swiglu) { expect_devices_agree(shapes::swiglu); }
TEST(Compare, Embedding) { expect_devices_agree(shapes::embedding); }
TEST(Compare, Bias) { expect_devices_agree(shapes::bias); }
TEST(Compare, CrossEntropy) { expect_devices_agree(shapes::cross_entropy); }
TEST(Compare, AdamW) { expect_devices_agree(shapes::adamw); }
TEST(Compare, Attention) { expect_devices_agree(shapes::attention); }

// Without a forced path the device takes one of the paths that the comparisons above ran on.
TEST(Compare, DefaultPathIsAmongThoseCompared) {
  const std::string chosen = make_cpu_device()->info().path;
  const auto devices = cpu_devices();
  EXPECT_TRUE(std::any_of(devices.begin(), devices.end(), [&](const auto& d) { return d->info().path == chosen; }));
}

}  // namespace
}  // namespace mfa
