// Perplexity of a model on a text.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "eval/windows.h"
#include "runtime/engine.h"

namespace mfa {

struct PerplexityOptions {
  int64_t context = 0;  // tokens a window; 0: the model's context
  int64_t stride = 0;   // windows start this far apart; only a window's last `stride` tokens are scored. 0: context
  int64_t windows = 0;  // at most so many; 0: all
  Score score = Score::all;
  int32_t bos = -1;       // stands in for the first token of each window; −1: none does
  int64_t sequences = 4;  // windows computed together: changes speed, not results
  DType kv_type = DType::f32;
};

struct PerplexityResult {
  double nll = 0;      // Σ −log p, nats
  int64_t tokens = 0;  // scored
  int64_t windows = 0;
  double per_token() const { return nll / static_cast<double>(tokens); }
};

// The windows of these options. BadInput when they do not fit the text or the engine's positions.
std::vector<Window> perplexity_windows(const Engine& engine, int64_t tokens, const PerplexityOptions& options);

// Scores ids[1..]: each token given those before it in its window. `progress` is called with windows done and in all.
// BadInput when there are fewer than two tokens or the options do not fit.
PerplexityResult perplexity(Device& device, Engine& engine, std::span<const int32_t> ids,
                            const PerplexityOptions& options,
                            const std::function<void(int64_t, int64_t)>& progress = {});

}  // namespace mfa
