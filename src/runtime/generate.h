// Prompt in, tokens out.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "runtime/engine.h"
#include "runtime/sampler.h"

namespace mfa {

struct GenerateResult {
  std::vector<int32_t> ids;          // the new tokens
  std::vector<float> prompt_logits;  // [prompt, vocab], only when asked for
  int64_t prompt_tokens = 0;
  double prefill_tokens_per_s = 0, decode_tokens_per_s = 0;  // 0 where nothing was computed
};

struct GenerateOptions {
  int64_t new_tokens = 128;
  int64_t vocab = 0;  // only ids below it are chosen; 0: all
  int32_t eos = -1;   // stops after it; −1: never
  bool keep_prompt_logits = false;
  std::function<bool(int32_t)> on_token;  // called with each new token; false stops
};

// The prompt must have at least one token; prompt and new tokens must fit the engine's positions (BadInput).
GenerateResult generate(Engine& engine, KvCache& cache, std::span<const int32_t> prompt, Sampler& sampler,
                        const GenerateOptions& options);

}  // namespace mfa
