// Positions: RoPE frequencies under every scaling, the tables that kernels rotate with, ALiBi slopes.
#pragma once

#include <cstdint>
#include <vector>

#include "model/attention_spec.h"

namespace mfa {

struct RopeFrequencies {
  std::vector<double> frequencies;  // radians a token, one a rotated pair
  double attention_factor = 1;      // cos and sin are multiplied by it (YaRN)
};

// rotary_dim dims of one head are rotated. Linear and NTK: Chen et al. 2023 and its NTK-aware form; YaRN:
// arXiv 2309.00071; llama3: the rule of Llama 3.1. As transformers computes them.
RopeFrequencies rope_frequencies(const RopeSpec& rope, int64_t rotary_dim);

struct RopeTable {
  int64_t positions = 0, half = 0;
  std::vector<double> cos, sin;  // [positions, half]
};
RopeTable rope_table(const RopeSpec& rope, int64_t rotary_dim, int64_t positions);

// Slopes of ALiBi (arXiv 2108.12409): 2^(−8h/n) for n a power of two, else interleaved with those of the next one.
std::vector<double> alibi_slopes(int64_t n_heads);

// What scores are multiplied by: key_dim^−½, and DeepSeek's YaRN correction where its config asks for it.
double softmax_scale(const AttentionSpec& spec);

}  // namespace mfa
