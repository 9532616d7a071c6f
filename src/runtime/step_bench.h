// The speed of a whole model: one step of the engine, for new tokens behind long caches or for whole prompts.
#pragma once

#include <cstdint>

#include "kernels/timed_device.h"
#include "runtime/engine.h"

namespace mfa {

struct StepBenchShape {
  int64_t context = 1024;  // tokens that the last new token of each sequence sees, itself included; at least 1
  int64_t batch = 1;       // sequences that each get new tokens
  int64_t new_tokens = 1;  // 1: decoding; as many as the context: a prompt; at most that
  DType kv_type = DType::bf16;
};

struct StepBenchRow {
  double seconds = 0;  // median of single steps, all of the same depth
  int64_t steps = 0;   // that were timed
  double tokens = 0;   // of one step: all that are new
  // Where the seconds go, each a median; zero unless measured on a TimedDevice. What is left is the engine's own.
  double products = 0, attention = 0, vectors = 0;
  // What one step reads at least: packed weights once, and the keys and values that its last rows see, windows cut.
  double weight_bytes = 0, kv_bytes = 0;
  double bytes() const { return weight_bytes + kv_bytes; }
};

// What comes before the new tokens is random keys and values, written through the device as fast as it can be. After
// every step the sequences forget their new tokens, so that all steps see the same depth. About
// `seconds` of measuring, at least eleven steps after two to warm up, or three prompts after one. engine.positions()
// must be at least the context. `clock` is the device itself, when it is one that measures.
StepBenchRow bench_step(Device& device, Engine& engine, const StepBenchShape& shape, double seconds = 2,
                        TimedDevice* clock = nullptr);

// Room that bench_step's cache takes, in tokens (for plan_memory).
int64_t bench_cache_tokens(const StepBenchShape& shape);

}  // namespace mfa
