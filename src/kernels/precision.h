// Names of precisions on the command line.
#pragma once

#include <string_view>

#include "kernels/device.h"

namespace mfa {

// auto: the fastest one that the device computes in hardware. BadInput for anything but auto, bf16, f32.
Precision parse_precision(std::string_view name, const Device& device);
std::string_view name_of(Precision precision);

}  // namespace mfa
