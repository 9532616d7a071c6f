// Memory, copies between types, and sums over a tensor.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/thread_team.h"
#include "kernels/devices_under_test.h"
#include "kernels/operands.h"

namespace mfa {
namespace {

TEST(Memory, AllocationIsZeroedAndAligned) {
  for (const auto& device : devices_under_test())
    for (const size_t bytes : {size_t{1}, size_t{65}, size_t{100000}}) {
      const DeviceMemory memory(*device, bytes), nothing(*device, 0);
      EXPECT_NE(nothing.data(), memory.data()) << title(*device);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(memory.data()) % 64, 0u) << title(*device);
      std::vector<uint8_t> host(bytes, 1);
      const auto n = static_cast<int64_t>(bytes);
      device->download(host.data(), {memory.data(), DType::u8, 1, n, n});
      EXPECT_EQ(host, std::vector<uint8_t>(bytes, 0)) << title(*device);
    }
}

TEST(Memory, ImpossibleSizeIsAFailure) {
  EXPECT_THROW(make_reference_device()->allocate(std::numeric_limits<size_t>::max()), Failure);
}

// Three columns of a tensor of seven, there and back; the other columns stay.
TEST(Memory, UploadAndDownloadKeepToTheirColumns) {
  for (const auto& device : devices_under_test())
    for (const DType type : {DType::f32, DType::f64, DType::bf16, DType::i32, DType::u8}) {
      const DeviceMemory memory(*device, 5 * 7 * size_of(type));
      const Tensor whole{memory.data(), type, 5, 7, 7}, part = whole.slice_cols(2, 3);
      std::vector<uint8_t> sent(15 * size_of(type)), got(sent.size()), all(35 * size_of(type));
      for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<uint8_t>(i % 251 + 1);
      device->upload(part, sent.data());
      device->download(got.data(), part);
      EXPECT_EQ(got, sent) << title(*device) << " " << name_of(type);
      device->download(all.data(), whole);
      EXPECT_EQ(std::count(all.begin(), all.end(), 0), 20 * static_cast<int64_t>(size_of(type))) << title(*device);
    }
}

// f32 -> bf16 rounds to nearest even, and the way back is exact; f64 -> f32 rounds as the language does.
TEST(Memory, ConvertRounds) {
  const std::vector<float> numbers{0.f, -1.f, 1.00390625f, 1.01171875f, 3.14159265f, -65504.f, 1e-30f, INFINITY, 1e38f};
  const auto n = static_cast<int64_t>(numbers.size());
  for (const auto& device : devices_under_test()) {
    const DeviceMemory memory(*device, 4096);
    const Tensor f{memory.data(), DType::f32, 1, n, n}, b{memory.data() + 1024, DType::bf16, 1, n, n};
    const Tensor d{memory.data() + 2048, DType::f64, 1, n, n};
    std::vector<bf16> rounded(n);
    std::vector<float> back(n);
    device->upload(f, numbers.data());
    device->convert(b, f);
    device->download(rounded.data(), b);
    device->convert(d, f);
    device->fill(f, 7);
    device->convert(f, d);
    device->download(back.data(), f);
    EXPECT_EQ(back, numbers) << title(*device);
    device->convert(f, b);
    device->download(back.data(), f);
    for (int64_t i = 0; i < n; ++i) {
      EXPECT_EQ(rounded[i].bits, to_bf16(numbers[i]).bits) << title(*device) << " " << numbers[i];
      EXPECT_EQ(back[i], to_float(rounded[i])) << title(*device);
    }
  }
}

// Sums run in double: they are off by roundings of 2⁻⁵³ of their partial sums, hence well below 1e-12 of Σ|x|; and the
// number of threads changes nothing.
TEST(Sums, AreExactAndIndependentOfThreads) {
  for (const auto& device : devices_under_test())
    for (const auto& [rows, cols, frame] :
         {std::array<int64_t, 3>{1, 1, 0}, {1, 100003, 0}, {37, 1000, 5}, {3, 7, 1}}) {
      Operands operands(*device, 7, frame);
      const Tensor x = operands.normal(rows, cols);
      double sum = 0, squares = 0, size = 0, largest = -INFINITY;
      for (const double number : read(*device, x)) {
        sum += number;
        squares += number * number;
        size += std::abs(number);
        largest = std::max(largest, number);
      }
      const double got = device->sum(x), got_squares = device->sum_of_squares(x);
      EXPECT_NEAR(got, sum, 1e-12 * size) << title(*device);
      EXPECT_NEAR(got_squares, squares, 1e-12 * squares) << title(*device);
      EXPECT_EQ(device->max_value(x), largest) << title(*device);
      for (const int threads : {1, 2, 3}) {
        set_num_threads(threads);
        EXPECT_EQ(device->sum(x), got) << title(*device) << " on " << threads;
        EXPECT_EQ(device->sum_of_squares(x), got_squares) << title(*device) << " on " << threads;
      }
      set_num_threads(0);
    }
}

TEST(Sums, MaxOfANanIsNan) {
  for (const auto& device : devices_under_test())
    for (const int64_t at : {0, 1, 40, 99}) {
      Operands operands(*device, 8);
      const Tensor x = operands.normal(1, 100);
      device->fill(x.slice_cols(at, 1), std::nan(""));
      EXPECT_TRUE(std::isnan(device->max_value(x))) << title(*device) << " at " << at;
    }
}

}  // namespace
}  // namespace mfa
