// A sequence that knows its tokens, so that a new prompt computes only what differs from the last one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/generate.h"

namespace mfa {

class CachedSequence {
 public:
  explicit CachedSequence(KvCache& cache) : sequence_(cache) {}

  // The result of generate() for `prompt` as a whole; of the tokens it shares with what was computed last, only those
  // behind the longest common prefix are computed (at least one: its logits are needed). prompt_tokens counts what was
  // computed. The sampler forgets, and is told the whole prompt. Costs nothing but a comparison of ids.
  GenerateResult generate(Engine& engine, KvCache& cache, std::span<const int32_t> prompt, Sampler& sampler,
                          const GenerateOptions& options);
  // Tokens whose keys and values are in the cache.
  std::span<const int32_t> ids() const { return ids_; }

 private:
  Sequence sequence_;
  std::vector<int32_t> ids_;
};

}  // namespace mfa
