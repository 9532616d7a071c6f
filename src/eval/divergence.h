// How far a model's predictions are from another's: a quantized model from its original, a converted one from its
// source.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "eval/perplexity.h"

namespace mfa {

// Of the scored tokens of a text. KL is Σ p_reference (log p_reference − log p_model), in nats a token.
struct DivergenceResult {
  double nll = 0, reference_nll = 0;  // Σ −log p of the text's tokens
  int64_t tokens = 0, windows = 0;
  double kl_mean = 0, kl_median = 0, kl_90 = 0, kl_95 = 0, kl_99 = 0, kl_max = 0;  // percentiles over tokens
  double same_top = 0;                     // share of tokens where both have the same likeliest token
  double probability_difference_mean = 0;  // of the text's tokens: p_model − p_reference
  double probability_difference_rms = 0;
};

// One row of logits against another's, over the ids that both vocabularies have.
struct RowDivergence {
  double kl = 0, nll = 0, reference_nll = 0;
  bool same_top = false;
};
RowDivergence compare_row(std::span<const float> logits, std::span<const float> reference, int32_t target);

// Linear between order statistics, as numpy's default; sorts `values`, which may not be empty. share in [0, 1].
double percentile(std::vector<double>& values, double share);

// Both engines see the same tokens in the same windows; options.kv_type is the model's, `reference_kv` the other's.
DivergenceResult divergence(Device& device, Engine& engine, Engine& reference, DType reference_kv,
                            std::span<const int32_t> ids, const PerplexityOptions& options,
                            const std::function<void(int64_t, int64_t)>& progress = {});

}  // namespace mfa
