// The speed of one attention layer, on operands that no cache holds.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "kernels/device.h"

namespace mfa {

// decode and prefill are the engine's work, over the paged cache; a prompt in the engine's blocks, each appended first.
enum class BenchPhase { decode, prefill, train };

struct AttentionBenchShape {
  int64_t heads = 16, kv_heads = 1, head_dim = 256, context = 8192;
  DType kv_type = DType::bf16;
  bool key_reuse = false;  // MFA-KR: values are the unrotated keys, which are rotated as they are read
  BenchPhase phase = BenchPhase::decode;
};

struct AttentionBenchRow {
  AttentionBenchShape shape;
  double seconds = 0;  // median of one call: one token (decode) or one sequence (prefill, train), one layer
  double flops = 0;    // decode 4·heads·T·C; causal forward 2·heads·T²·C; with backward 3.5 × that
  double bytes = 0;    // decode: the cache once; prefill: q, k, v, out and the cache, written and read, once; train: q,
                       // k, v, out and their gradients once
  double tokens = 0;   // that one call computes
};

// A row for each shape. Operands rotate over buffers of at least four times the last-level cache. Shapes are measured
// in turn, a short burst of each at a time, or what slows the machine for a while would slow one of them and not its
// neighbour; all their buffers are held at once. About `seconds` a shape. `progress`: called with the share that is
// done.
std::vector<AttentionBenchRow> bench_attention(Device& device, std::span<const AttentionBenchShape> shapes,
                                               double seconds = 1, const std::function<void(double)>& progress = {});

std::string describe(const AttentionBenchShape& shape);

}  // namespace mfa
