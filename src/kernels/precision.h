// Precisions: their names on the command line, and a device that is set to one for a while.
#pragma once

#include <string_view>

#include "kernels/device.h"

namespace mfa {

// auto: the fastest one that the device computes in hardware. BadInput for anything but auto, bf16, f32.
Precision parse_precision(std::string_view name, const Device& device);
std::string_view name_of(Precision precision);

// Sets a device to a precision, and at its own end back to the one before.
class PrecisionScope {
 public:
  PrecisionScope(Device& device, Precision precision) : device_(device), before_(device.precision()) {
    device.set_precision(precision);
  }
  PrecisionScope(const PrecisionScope&) = delete;
  PrecisionScope& operator=(const PrecisionScope&) = delete;
  ~PrecisionScope() { device_.set_precision(before_); }

 private:
  Device& device_;
  Precision before_;
};

}  // namespace mfa
