#include "kernels/devices_under_test.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/error.h"

namespace mfa {

std::vector<std::unique_ptr<Device>> cpu_devices() {
  std::vector<std::unique_ptr<Device>> devices;
  for (const char* path : {"plain", "avx2", "avx512"}) {
    setenv("MFA_CPU_PATH", path, 1);
    try {
      devices.push_back(make_cpu_device());
    } catch (const BadInput&) {
      continue;  // this CPU has no such path
    }
    if (devices.back()->info().path != path)
      fail("[test] path, got {}, expected {}", devices.back()->info().path, path);
  }
  unsetenv("MFA_CPU_PATH");
  return devices;
}

std::vector<std::unique_ptr<Device>> devices_under_test() {
  std::vector<std::unique_ptr<Device>> devices = cpu_devices();
  devices.insert(devices.begin(), make_reference_device(DType::f32));
  return devices;
}

std::vector<std::unique_ptr<Device>> bf16_devices() {
  std::vector<std::unique_ptr<Device>> devices = cpu_devices();
  for (const auto& device : devices) device->set_precision(Precision::bf16);
  return devices;
}

std::vector<std::unique_ptr<Device>> cpu_devices_in_each_precision() {
  std::vector<std::unique_ptr<Device>> devices = cpu_devices();
  for (auto& device : bf16_devices())
    if (device->info().path != "avx2") devices.push_back(std::move(device));
  return devices;
}

std::string title(const Device& device) {
  return device.info().name + " " + device.info().path + (device.precision() == Precision::bf16 ? " bf16" : "");
}

std::string difference(const std::vector<double>& x, const std::vector<double>& exact, double roundings, double terms) {
  if (x.size() != exact.size()) return fmt::format("{} numbers, expected {}", x.size(), exact.size());
  double size = terms;
  for (const double e : exact) size = std::max(size, std::abs(e));
  const double tolerance = roundings * 0x1p-23 * size;
  size_t worst = 0;
  double largest = -1;
  for (size_t i = 0; i < x.size(); ++i) {
    const double error = std::abs(x[i] - exact[i]);
    if (std::isnan(error)) return fmt::format("number {} is {}, expected {}", i, x[i], exact[i]);
    if (error > largest) largest = error, worst = i;
  }
  if (largest <= tolerance) return {};
  return fmt::format("number {} of {} is {}, expected {}, off by {:.3g}, tolerance {:.3g}", worst, x.size(), x[worst],
                     exact[worst], largest, tolerance);
}

double relative_distance(const std::vector<double>& x, const std::vector<double>& exact) {
  double error = 0, size = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    error += (x[i] - exact[i]) * (x[i] - exact[i]);
    size += exact[i] * exact[i];
  }
  return std::sqrt(error / size);
}

}  // namespace mfa
