// One row of `mfa bench`, and where it stands under the roofline min(peak, bandwidth · intensity).
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

namespace mfa {

struct BenchRow {
  std::string work, shape;
  double seconds, flops, bytes, tokens;
  double peak, read;  // of the machine: GFLOP/s and GB/s

  double gflops() const { return flops / seconds * 1e-9; }
  double intensity() const { return flops / bytes; }
  double roof() const { return std::min(peak, read * intensity()); }
  nlohmann::ordered_json json() const {
    return {{"work", work},
            {"shape", shape},
            {"seconds", seconds},
            {"gb_per_s", bytes / seconds * 1e-9},
            {"gflop_per_s", gflops()},
            {"flop_per_byte", intensity()},
            {"roofline_share", gflops() / roof()},
            {"gemm_share", gflops() / peak},
            {"tokens_per_s", tokens / seconds}};
  }
};

}  // namespace mfa
