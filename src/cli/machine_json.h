// The `machine` object of bench and info --cpu.
#pragma once

#include <nlohmann/json.hpp>

#include "kernels/machine.h"
#include "kernels/precision.h"

namespace mfa {

inline nlohmann::ordered_json machine_json(const MachineLimits& m) {
  return {{"cpu", m.cpu},
          {"cpu_path", m.cpu_path},
          {"threads", m.threads},
          {"native_precision", name_of(m.native_precision)},
          {"read_gb_per_s", m.read_gb_per_s},
          {"gemm_f32_gflop_per_s", m.gemm_f32_gflop_per_s},
          {"gemm_bf16_gflop_per_s", m.gemm_bf16_gflop_per_s},
          {"gemm_int8_gop_per_s", m.gemm_int8_gop_per_s}};
}

}  // namespace mfa
