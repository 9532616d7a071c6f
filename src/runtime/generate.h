// Prompt in, tokens out.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "runtime/engine.h"
#include "runtime/sampler.h"

namespace mfa {

enum class StopReason {
  length,       // as many tokens as asked for
  end_of_text,  // the model chose one of GenerateOptions::ends; it is the last of the result's ids
  caller,       // on_token returned false
  interrupted,  // GenerateOptions::interrupted returned true
};

struct GenerateResult {
  std::vector<int32_t> ids;          // the new tokens
  std::vector<float> prompt_logits;  // [prompt, vocab], only when asked for
  int64_t prompt_tokens = 0;         // computed, without those that the sequence held before
  double prefill_seconds = 0, decode_seconds = 0;
  double prefill_tokens_per_s = 0, decode_tokens_per_s = 0;  // 0 where nothing was computed
  StopReason stopped = StopReason::length;
};

struct GenerateOptions {
  int64_t new_tokens = 128;
  int64_t vocab = 0;               // only ids below it are chosen; 0: all
  std::vector<int32_t> ends = {};  // stops after any of them; empty: never
  bool keep_prompt_logits = false;
  std::function<bool(int32_t)> on_token = {};  // called with each new token; false stops
  std::function<bool()> interrupted = {};      // asked between tokens and between blocks of the prompt; true stops
};

// Continues `sequence`, whose tokens the sampler has accepted already, by `prompt` (at least one token) and new tokens;
// the last new token is chosen but not in the sequence. All must fit the engine's positions (BadInput).
GenerateResult generate(Engine& engine, KvCache& cache, Sequence& sequence, std::span<const int32_t> prompt,
                        Sampler& sampler, const GenerateOptions& options);
// The same for a new sequence, which is gone afterwards.
GenerateResult generate(Engine& engine, KvCache& cache, std::span<const int32_t> prompt, Sampler& sampler,
                        const GenerateOptions& options);

}  // namespace mfa
