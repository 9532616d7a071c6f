// Tensors of a benchmark on the CPU device, and how results are counted.
#pragma once

#include <benchmark/benchmark.h>

#include <deque>
#include <memory>
#include <vector>

#include "base/random.h"
#include "kernels/device.h"

namespace mfa {

class Buffers {
 public:
  // f32, normal numbers.
  Tensor random(int64_t rows, int64_t cols) {
    std::vector<float> values(static_cast<size_t>(rows * cols));
    for (float& v : values) v = static_cast<float>(random_.normal());
    const Tensor t = tensor(rows, cols);
    device->upload(t, values.data());
    return t;
  }
  Tensor tensor(int64_t rows, int64_t cols) {
    return {memory(static_cast<size_t>(rows * cols) * 4), DType::f32, rows, cols, cols};
  }
  Tensor bytes(size_t count) {
    const auto n = static_cast<int64_t>(count);
    return {memory(count), DType::u8, 1, n, n};
  }
  // [1, n] i32, each below `bound`.
  Tensor integers(int64_t n, int64_t bound) {
    std::vector<int32_t> values(static_cast<size_t>(n));
    for (int32_t& v : values) v = static_cast<int32_t>(random_.below(static_cast<uint64_t>(bound)));
    const Tensor t{memory(static_cast<size_t>(n) * 4), DType::i32, 1, n, n};
    device->upload(t, values.data());
    return t;
  }
  std::unique_ptr<Device> device = make_cpu_device();

 private:
  std::byte* memory(size_t count) { return memory_.emplace_back(*device, count).data(); }
  std::deque<DeviceMemory> memory_;
  Random random_{1};
};

inline void count_flops(benchmark::State& state, double flops) {
  state.counters["GFLOP/s"] = benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}
// Bytes that an iteration must read and write, however the kernel does it.
inline void count_bytes(benchmark::State& state, double bytes) {
  state.counters["GB/s"] = benchmark::Counter(bytes * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace mfa
