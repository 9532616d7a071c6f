// Choosing the next token from logits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/random.h"

namespace mfa {

struct SamplerOptions {
  bool greedy = false;       // the largest logit; ties go to the lowest id
  double temperature = 1.0;  // > 0
  int64_t top_k = 0;         // 0: all
  double top_p = 1.0;        // smallest set of tokens whose probability reaches it
  double min_p = 0.0;        // tokens at least this share of the likeliest one's probability
  uint64_t seed = 0;
};

// Throws BadInput when an option is out of range.
class Sampler {
 public:
  explicit Sampler(const SamplerOptions& options);
  int32_t sample(std::span<const float> logits);

 private:
  struct Candidate {
    int32_t id;
    float logit;
    double probability;
  };
  SamplerOptions options_;
  Random random_;
  std::vector<Candidate> candidates_;
};

}  // namespace mfa
