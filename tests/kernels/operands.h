// Tensors of a test or benchmark on some device, filled with the same numbers on every device.
#pragma once

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
  std::vector<float> floats(x.size());
  device.download(floats.data(), x);
  return {floats.begin(), floats.end()};
}

inline void write(Device& device, Tensor x, const std::vector<double>& numbers) {
  if (x.type == DType::f64) return device.upload(x, numbers.data());
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
    const Tensor x = framed(rows, cols);
    write(device_, x, numbers);
    return x;
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
  static constexpr double mark = 12345;

  std::byte* memory(size_t n) { return memory_.emplace_back(device_, n).data(); }
  Tensor framed(int64_t rows, int64_t cols) {
    const int64_t width = cols + 2 * frame_;
    const DType type = device_.real();
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
