// Every device against the reference in double, over the table of shapes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "kernels/devices_under_test.h"
#include "kernels/operands.h"
#include "kernels/problem.h"

namespace mfa {
namespace {

// more(case): roundings that every result of a case may be off by beside its own.
template <class Case, class More>
void expect_devices_agree(const std::vector<Case>& cases, const std::vector<std::unique_ptr<Device>>& devices,
                          const More& more) {
  const auto exact_device = make_reference_device(DType::f64);
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
        EXPECT_EQ(
            difference(read(*device, value), read(*exact_device, exact.results[i].value), roundings + more(c), terms),
            "")
            << name;
      }
      EXPECT_TRUE(problem.operands->frames_intact());
    }
  }
}

template <class Case>
void expect_devices_agree(const std::vector<Case>& cases) {
  expect_devices_agree(cases, devices_under_test(), [](const Case&) { return 0.0; });
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

// Products in bf16 round each operand by 0.85 u of it in the root of the mean square, with u = 2^-9, 2^14 roundings.
// The error of a logit is then normal, of deviation 0.85 · spread · u for queries and for keys; the worst of 10⁵
// differences of two logits is 4.5 · 2 times that, 7.7 · spread · u, and a probability is off by as much, relatively.
// On the way to a gradient stand three more products, of which each adds the roundings of its two operands, and of
// which two have a probability in them.
TEST(Compare, AttentionThatMultipliesBf16) {
  expect_devices_agree(shapes::attention, bf16_devices(), [](const shapes::AttentionCase& c) {
    return 0x1p14 * (3 * 2 + 2 * 7.7 * std::max(1.0, c.spread));
  });
}

// The same of a second operand that many products share, also where the last of them has fewer rows; and what was kept
// of it is forgotten when there is a new first one. Two orders of summing k = 12 products differ by at most 2 k 2^-24
// of the sum of their sizes.
void expect_kept_operand_to_serve(Device& device, bool same_order) {
  SCOPED_TRACE(title(device));
  constexpr int64_t kRows = 40, kDepth = 12, kColumns = 20;
  Operands operands(device, 3);
  const Tensor x = operands.normal(kRows, kDepth), w = operands.normal(kColumns, kDepth);
  const Tensor untold = operands.unwritten(kRows, kColumns), told = operands.unwritten(kRows, kColumns);
  for (const double factor : {1.0, 3.0}) {
    device.scale(w, factor);
    for (const auto& [begin, rows, reuse] :
         {std::tuple{0, 16, Reuse::first}, {16, 16, Reuse::again}, {32, 8, Reuse::again}}) {
      const Tensor part = x.slice_rows(begin, rows);
      device.matmul({.a = part, .b = w, .c = untold.slice_rows(begin, rows), .transpose_b = true});
      device.matmul({.a = part, .b = w, .c = told.slice_rows(begin, rows), .transpose_b = true, .reuse_b = reuse});
    }
    const auto expected = read(device, untold), given = read(device, told);
    if (same_order) {
      EXPECT_EQ(given, expected);
    }
    const auto a = read(device, x), b = read(device, w);
    for (int64_t r = 0; r < kRows; ++r)
      for (int64_t c = 0; c < kColumns; ++c) {
        double sizes = 0;
        for (int64_t k = 0; k < kDepth; ++k)
          sizes += std::abs(a[static_cast<size_t>(r * kDepth + k)] * b[static_cast<size_t>(c * kDepth + k)]);
        const auto at = static_cast<size_t>(r * kColumns + c);
        EXPECT_NEAR(given[at], expected[at], 2 * kDepth * 0x1p-24 * sizes) << r << ", " << c;
      }
  }
}
TEST(Compare, ProductsThatKeepAnOperand) {
  for (const auto& device : bf16_devices()) expect_kept_operand_to_serve(*device, true);
  for (const auto& device : devices_under_test()) expect_kept_operand_to_serve(*device, false);
}

// A product of so many rows that threads share it out piece by piece is, to the last bit, the product of a few rows at
// a time; also where rows lie apart, where columns are no whole blocks, and where it is added to what there is.
TEST(Compare, ProductsOfManyRowsAreThoseOfFew) {
  constexpr int64_t kRows = 1280, kDepth = 72, kColumns = 100, kFew = 128;
  for (const auto& device : bf16_devices()) {
    SCOPED_TRACE(title(*device));
    Operands operands(*device, 3);
    const Tensor x = operands.normal(kRows, kDepth + 8).slice_cols(0, kDepth), w = operands.normal(kColumns, kDepth);
    const Tensor many = operands.unwritten(kRows, kColumns), few = operands.unwritten(kRows, kColumns);
    for (const bool accumulate : {false, true}) {
      device->matmul({.a = x, .b = w, .c = many, .transpose_b = true, .accumulate = accumulate});
      for (int64_t row = 0; row < kRows; row += kFew)
        device->matmul({.a = x.slice_rows(row, kFew),
                        .b = w,
                        .c = few.slice_rows(row, kFew),
                        .transpose_b = true,
                        .accumulate = accumulate});
      EXPECT_EQ(read(*device, many), read(*device, few)) << accumulate;
    }
  }
}

// A product that is told its first operand is that of the product before gives what it gives untold, to the last bit;
// told so wrongly of another tensor, it does not believe it.
TEST(Compare, ProductsThatShareAnOperand) {
  for (const auto& device : bf16_devices()) {
    SCOPED_TRACE(title(*device));
    Operands operands(*device, 3, 4);
    const Tensor dy = operands.normal(37, 20), x = operands.normal(37, 12), w = operands.normal(20, 12);
    const Tensor other = operands.normal(37, 20), dw = operands.unwritten(20, 12);
    const Tensor untold = operands.unwritten(37, 12), told = operands.unwritten(37, 12);
    device->matmul({.a = dy, .b = w, .c = untold});
    device->matmul({.a = dy, .b = x, .c = dw, .transpose_a = true});
    device->matmul({.a = dy, .b = w, .c = told, .same_a = true});
    EXPECT_EQ(read(*device, told), read(*device, untold));
    device->matmul({.a = other, .b = w, .c = untold});
    device->matmul({.a = dy, .b = x, .c = dw, .transpose_a = true});
    device->matmul({.a = other, .b = w, .c = told, .same_a = true});
    EXPECT_EQ(read(*device, told), read(*device, untold));
  }
}

// Without a forced path the device takes one of the paths that the comparisons above ran on.
TEST(Compare, DefaultPathIsAmongThoseCompared) {
  const std::string chosen = make_cpu_device()->info().path;
  const auto devices = cpu_devices();
  EXPECT_TRUE(std::any_of(devices.begin(), devices.end(), [&](const auto& d) { return d->info().path == chosen; }));
}

}  // namespace
}  // namespace mfa
