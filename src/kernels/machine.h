// What this machine gives, measured: the two limits that every speed is compared with.
#pragma once

#include <string>

#include "kernels/device.h"

namespace mfa {

struct MachineLimits {
  std::string cpu, cpu_path;
  int threads = 1;
  Precision native_precision = Precision::f32;
  double read_gb_per_s = 0;          // all threads reading a buffer of ≥ 4 × the last-level cache
  double gemm_f32_gflop_per_s = 0;   // the library's product, 2048³, weights packed where it likes that
  double gemm_bf16_gflop_per_s = 0;  // 0 where the CPU has no such arithmetic
  double gemm_int8_gop_per_s = 0;

  double native_gflop_per_s() const {
    return native_precision == Precision::bf16 ? gemm_bf16_gflop_per_s : gemm_f32_gflop_per_s;
  }
};

std::string cpu_name();
int64_t last_level_cache();  // bytes of the largest cache

// Best of several runs of each, about `seconds` in all. `precisions_only`: just the product in f32 and bf16.
MachineLimits measure_machine(double seconds = 2, bool products_only = false);

}  // namespace mfa
