// Tensors of a test or benchmark on some device, filled with the same numbers on every device.
#pragma once

#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>
#include <vector>

#include "base/random.h"
#include "kernels/device.h"

namespace mfa {

// Host copy of a floating tensor, rows without gaps.
inline std::vector<double> read(Device& device, Tensor x) {
  std::vector<double> numbers(x.size());
  if (x.type == DType::f64) {
    device.download(numbers.data(), x);
    return numbers;
  }
  if (x.type == DType::bf16) {
    std::vector<bf16> halves(x.size());
    device.download(halves.data(), x);
    std::transform(halves.begin(), halves.end(), numbers.begin(), [](bf16 h) { return to_float(h); });
    return numbers;
  }
  std::vector<float> floats(x.size());
  device.download(floats.data(), x);
  return {floats.begin(), floats.end()};
}

inline void write(Device& device, Tensor x, const std::vector<double>& numbers) {
  if (x.type == DType::f64) return device.upload(x, numbers.data());
  if (x.type == DType::bf16) {
    std::vector<bf16> halves(x.size());
    std::transform(numbers.begin(), numbers.end(), halves.begin(),
                   [](double n) { return to_bf16(static_cast<float>(n)); });
    return device.upload(x, halves.data());
  }
  const std::vector<float> floats(numbers.begin(), numbers.end());
  device.upload(x, floats.data());
}

// Owns its tensors. Each floating tensor is a slice of one that is `frame` columns wider on either side, and the frame
// holds a mark that no operation may touch.
class Operands {
 public:
  Operands(Device& device, uint64_t seed, int64_t frame = 0) : device_(device), random_(seed), frame_(frame) {}

  // Normal numbers, representable in f32: a device in double then works on exactly the same input.
  Tensor normal(int64_t rows, int64_t cols, double spread = 1) {
    std::vector<double> numbers(rows * cols);
    for (double& x : numbers) x = static_cast<float>(spread * random_.normal());
    return holding(rows, cols, numbers);
  }
  Tensor constant(int64_t rows, int64_t cols, double value) {
    return holding(rows, cols, std::vector<double>(rows * cols, value));
  }
  // Not a number until an operation writes it: what is left out, or read before it is written, shows.
  Tensor unwritten(int64_t rows, int64_t cols) { return constant(rows, cols, std::nan("")); }
  Tensor holding(int64_t rows, int64_t cols, const std::vector<double>& numbers) {
    return holding(rows, cols, numbers, device_.real());
  }
  // Operands (device.h) in bf16; a device in double has them in double, so that it tells what rounding cost the others.
  Tensor unwritten_operand(int64_t rows, int64_t cols) {
    return holding(rows, cols, std::vector<double>(rows * cols, std::nan("")), operand());
  }
  Tensor normal_operand(int64_t rows, int64_t cols, double spread = 1) {
    std::vector<double> numbers(rows * cols);
    for (double& x : numbers) x = to_float(to_bf16(static_cast<float>(spread * random_.normal())));
    return holding(rows, cols, numbers, operand());
  }

  // i32 vector [1, n].
  Tensor integers(const std::vector<int32_t>& numbers) {
    const auto n = static_cast<int64_t>(numbers.size());
    const Tensor x{memory(numbers.size() * sizeof(int32_t)), DType::i32, 1, n, n};
    device_.upload(x, numbers.data());
    return x;
  }
  std::vector<int32_t> below(int64_t n, int64_t bound) {
    std::vector<int32_t> numbers(n);
    for (int32_t& x : numbers) x = static_cast<int32_t>(random_.below(bound));
    return numbers;
  }
  Tensor bytes(size_t n) {
    const auto size = static_cast<int64_t>(n);
    return n == 0 ? Tensor{} : Tensor{memory(n), DType::u8, 1, size, size};
  }

  bool frames_intact() {
    if (frame_ == 0) return true;
    for (const Tensor& whole : framed_)
      for (const int64_t first : {int64_t{0}, whole.cols - frame_})
        for (const double x : read(device_, whole.slice_cols(first, frame_)))
          if (x != mark) return false;
    return true;
  }

  Device& device() { return device_; }
  Random& random() { return random_; }

 private:
  static constexpr double mark = 12288;  // a bf16 number, too

  std::byte* memory(size_t n) { return memory_.emplace_back(device_, n).data(); }
  DType operand() const { return device_.real() == DType::f64 ? DType::f64 : DType::bf16; }
  Tensor holding(int64_t rows, int64_t cols, const std::vector<double>& numbers, DType type) {
    const Tensor x = framed(rows, cols, type);
    write(device_, x, numbers);
    return x;
  }
  Tensor framed(int64_t rows, int64_t cols, DType type) {
    const int64_t width = cols + 2 * frame_;
    const Tensor whole{memory(static_cast<size_t>(rows * width) * size_of(type)), type, rows, width, width};
    device_.fill(whole, mark);
    framed_.push_back(whole);
    return whole.slice_cols(frame_, cols);
  }

  Device& device_;
  Random random_;
  int64_t frame_;
  std::deque<DeviceMemory> memory_;
  std::vector<Tensor> framed_;
};

}  // namespace mfa
