// What decoding costs on a machine, by its roofline: bandwidth and arithmetic fully used, nothing else waited for.
#pragma once

#include "capacity/capacity.h"
#include "capacity/hardware.h"

namespace mfa {

struct DecodeSetting {
  const Hardware* hardware = nullptr;
  int64_t devices = 1;  // that share weights, cache and work evenly, at no cost of talking to each other
  int64_t batch = 1;    // sequences that decode together
  int64_t weight_bits = 16, kv_bits = 16;
};

// Seconds of one step, in which each sequence of the batch gets one token: attention itself overlaps reading the cache
// with computing, the rest reading the weights. For a large batch this is the formula of Step-3's report (§4),
//   max(core · U_FLOP, KV · U_byte) + (linear + FFN) · U_FLOP;
// for a small one the weights' bytes, which that leaves out, take the time. `work` is one token's, `weight_bytes` all
// that a step reads of the weights.
double decode_step_seconds(const DecodeWork& work, double weight_bytes, const DecodeSetting& setting);

}  // namespace mfa
