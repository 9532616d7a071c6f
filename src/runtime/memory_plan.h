// What a model will take of this machine's memory, before any of it is taken.
#pragma once

#include <cstdint>
#include <string>

#include "base/dtype.h"
#include "model/model_config.h"

namespace mfa {

struct MemoryPlan {
  DType weight_type = DType::f32, kv_type = DType::f32;
  int64_t weights = 0;       // bytes: packed matrices, and the embedding in f32, from which tokens are looked up
  int64_t work = 0;          // scratch of a block of rows, rotary tables, and one layer in f32 while it is packed
  int64_t kv_per_token = 0;  // all layers
  int64_t tokens = 0;        // that the cache has room for
  int64_t kv() const { return kv_per_token * tokens; }
  int64_t total() const { return weights + work + kv(); }
};

// A cache for `tokens` tokens and sequences of at most `positions` (each ≤ 2^30).
MemoryPlan plan_memory(const ModelConfig& config, DType weights, DType kv, int64_t tokens, int64_t positions);

// "weights 257 MiB (bf16, stored as Q4_1), KV 22.5 KiB a token (bf16), for 2,048 tokens 45.0 MiB"
std::string describe(const MemoryPlan& plan, const std::string& stored);

// Failure, saying what would take less, where the plan is larger than what is available.
void require_memory(const MemoryPlan& plan);

}  // namespace mfa
