#include "kernels/precision.h"

#include "base/error.h"

namespace mfa {

Precision parse_precision(std::string_view name, const Device& device) {
  if (name == "auto") return device.info().native_precision;
  if (name == "f32") return Precision::f32;
  if (name == "bf16") return Precision::bf16;
  bad_input("[precision] unknown precision, got {}, expected auto, bf16 or f32", name);
}

std::string_view name_of(Precision precision) { return precision == Precision::bf16 ? "bf16" : "f32"; }

}  // namespace mfa
