// The devices that are compared with the reference in double.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/device.h"

namespace mfa {

// The reference in float, and the CPU device on every instruction path that this CPU has. Made anew at each call.
std::vector<std::unique_ptr<Device>> cpu_devices();
std::vector<std::unique_ptr<Device>> devices_under_test();
// The CPU device on every path, set to multiply in bf16.
std::vector<std::unique_ptr<Device>> bf16_devices();
// In f32, and again in bf16 on the paths whose inference kernels have bf16 products.
std::vector<std::unique_ptr<Device>> cpu_devices_in_each_precision();

std::string title(const Device& device);  // "cpu avx2", "cpu avx512 bf16"

// Empty if every |x_i − exact_i| ≤ roundings · 2⁻²³ · size, where size = max(|exact|_max, terms); otherwise says where
// and by how much. 2⁻²³ is the spacing of f32 at 1, one rounding errs by half of it. A sum of n terms of random sign,
// whose partial sums grow like a random walk, errs by about 0.35 · √n spacings of its own typical size. Measuring by
// the largest number, about four times the typical one, leaves room for the rarest of 10⁵ errors, and none for a wrong
// term. `terms`: the size of terms that cancel, where a result may be much smaller than what it is the difference of.
std::string difference(const std::vector<double>& x, const std::vector<double>& exact, double roundings,
                       double terms = 0);

// ‖x − exact‖ / ‖exact‖.
double relative_distance(const std::vector<double>& x, const std::vector<double>& exact);

}  // namespace mfa
