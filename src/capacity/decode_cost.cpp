#include "capacity/decode_cost.h"

#include <algorithm>

namespace mfa {

double decode_step_seconds(const DecodeWork& work, double weight_bytes, const DecodeSetting& setting) {
  const auto devices = static_cast<double>(setting.devices), batch = static_cast<double>(setting.batch);
  const double bytes_per_s = setting.hardware->bytes_per_s * devices;
  const double core_peak = setting.hardware->flops(setting.kv_bits) * devices;
  const double linear_peak = setting.hardware->flops(setting.weight_bits) * devices;
  return std::max(batch * work.core_flops / core_peak, batch * work.kv_bytes / bytes_per_s) +
         std::max(batch * (work.linear_flops + work.ffn_flops) / linear_peak, weight_bytes / bytes_per_s);
}

}  // namespace mfa
