#include "kernels/machine.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>

#include "base/progress.h"
#include "base/random.h"
#include "base/thread_team.h"
#include "kernels/cpu/cpu_device.h"

namespace mfa {
namespace {

// The shortest time of one run of f, over about `seconds` (once to warm up, then at least three times).
template <class F>
double best_seconds(double seconds, const F& f) {
  f();
  double best = std::numeric_limits<double>::infinity();
  const double until = now_seconds() + seconds;
  for (int run = 0; run < 3 || now_seconds() < until; ++run) {
    const double begin = now_seconds();
    f();
    best = std::min(best, now_seconds() - begin);
  }
  return best;
}

double measure_read(Device& device, double seconds) {
  const int64_t cache = last_level_cache();
  const int64_t numbers = 4 * cache / 4;
  const DeviceMemory memory(device, static_cast<size_t>(numbers) * 4);
  const Tensor x{memory.data(), DType::f32, 1, numbers, numbers};
  device.fill(x, 1);  // untouched memory would all be one page of zeros
  return 4e-9 * static_cast<double>(numbers) / best_seconds(seconds, [&] { device.max_value(x); });
}

// Ordinary numbers: products of zeros or denormals may run at another speed.
void fill_random(Device& device, const Tensor& x) {
  std::vector<float> values(static_cast<size_t>(x.size()));
  Random random(1);
  for (float& v : values) v = static_cast<float>(random.uniform() - 0.5);
  device.upload(x, values.data());
}

// Operands as training has them: a in the type that products multiply, b packed once for the products that share it.
double measure_product(Device& device, Precision precision, double seconds) {
  constexpr int64_t kSize = 2048, kNumbers = kSize * kSize;
  const DeviceMemory memory(device, 4 * kNumbers * sizeof(float));
  const auto matrix = [&](int64_t i, DType type) {
    return Tensor{memory.data() + i * kNumbers * 4, type, kSize, kSize, kSize};
  };
  const Tensor numbers = matrix(0, DType::f32), b = matrix(1, DType::f32), c = matrix(2, DType::f32);
  fill_random(device, numbers);
  fill_random(device, b);
  device.set_precision(precision);
  const Tensor a = matrix(3, device.operand());
  device.convert(a, numbers);
  MatmulArgs args{.a = a, .b = b, .c = c, .reuse_b = Reuse::first};
  device.matmul(args);
  args.reuse_b = Reuse::again;
  const double best = best_seconds(seconds, [&] { device.matmul(args); });
  return 2e-9 * kSize * kNumbers / best;
}

double measure_int8_product(double seconds) {
  constexpr int64_t kSize = 2048;
  const std::vector<uint8_t> a(kSize * kSize, 3);
  const std::vector<int8_t> b(kSize * kSize, -5);
  std::vector<int32_t> c(kSize * kSize);
  const double best = best_seconds(seconds, [&] { multiply_int8(kSize, kSize, kSize, a.data(), b.data(), c.data()); });
  return 2e-9 * kSize * kSize * kSize / best;
}

}  // namespace

// The kernel's own figure first: on virtual machines, sysconf takes the sum over all sockets of the host for ours
// (256 MiB where these cores have 32).
int64_t last_level_cache() {
  int64_t largest = 0;
  for (int index = 0; index < 5; ++index) {
    std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/size");
    int64_t kilobytes = 0;
    if (file >> kilobytes) largest = std::max(largest, kilobytes << 10);
  }
  if (largest == 0) largest = std::max(sysconf(_SC_LEVEL3_CACHE_SIZE), sysconf(_SC_LEVEL2_CACHE_SIZE));
  return std::max<int64_t>(largest, 8 << 20);
}

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown CPU";
}

MachineLimits measure_machine(double seconds, bool products_only) {
  CpuDevice device;
  MachineLimits limits;
  limits.cpu = cpu_name();
  limits.cpu_path = device.info().path;
  limits.native_precision = device.info().native_precision;
  limits.threads = num_threads();
  const double each = seconds / 4;
  limits.gemm_f32_gflop_per_s = measure_product(device, Precision::f32, each);
  if (limits.native_precision == Precision::bf16)
    limits.gemm_bf16_gflop_per_s = measure_product(device, Precision::bf16, each);
  if (products_only) return limits;
  limits.read_gb_per_s = measure_read(device, each);
  if (limits.cpu_path != "plain" && has_int8_product()) limits.gemm_int8_gop_per_s = measure_int8_product(each);
  return limits;
}

}  // namespace mfa
