// The speed of decoding with a whole model: one step of the engine behind a long cache.
#pragma once

#include <cstdint>

#include "kernels/timed_device.h"
#include "runtime/engine.h"

namespace mfa {

struct DecodeBenchShape {
  int64_t context = 1024;  // tokens that the new token of each sequence sees, itself included; at least 1
  int64_t batch = 1;       // sequences that each get one token
  DType kv_type = DType::bf16;
};

struct DecodeBenchRow {
  double seconds = 0;  // median of single steps, all of the same depth
  int64_t steps = 0;   // that were timed
  double tokens = 0;   // of one step: the batch
  // Where the seconds go, each a median; zero unless measured on a TimedDevice. What is left is the engine's own.
  double products = 0, attention = 0, vectors = 0;
  // What one step reads at least: packed weights once, and the keys and values that its rows see, windows cut.
  double weight_bytes = 0, kv_bytes = 0;
  double bytes() const { return weight_bytes + kv_bytes; }
};

// The cache is filled with random keys and values through the device, as fast as it can be written: no prompt is
// computed. After every step the sequences forget their new token, so that all steps see the same depth. About
// `seconds` of measuring, at least eleven steps after two to warm up. engine.positions() must be at least the context.
// `clock` is the device itself, when it is one that measures.
DecodeBenchRow bench_decode(Device& device, Engine& engine, const DecodeBenchShape& shape, double seconds = 2,
                            TimedDevice* clock = nullptr);

// Room that bench_decode's cache takes, in tokens (for plan_memory).
int64_t bench_cache_tokens(const DecodeBenchShape& shape);

}  // namespace mfa
