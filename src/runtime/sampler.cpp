#include "runtime/sampler.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace mfa {

Sampler::Sampler(const SamplerOptions& options) : options_(options), random_(options.seed) {
  if (!(options.temperature > 0))
    bad_input("[sampler] temperature, got {}, expected a positive number (or --greedy)", options.temperature);
  if (options.top_k < 0) bad_input("[sampler] top-k, got {}, expected 0 or more", options.top_k);
  if (!(options.top_p > 0 && options.top_p <= 1))
    bad_input("[sampler] top-p, got {}, expected more than 0, at most 1", options.top_p);
  if (!(options.min_p >= 0 && options.min_p <= 1)) bad_input("[sampler] min-p, got {}, expected 0 to 1", options.min_p);
}

int32_t Sampler::sample(std::span<const float> logits) {
  if (options_.greedy) return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i) candidates_.push_back({static_cast<int32_t>(i), logits[i], 0});
  const auto likelier = [](const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
  };
  const size_t k = options_.top_k > 0 ? std::min<size_t>(candidates_.size(), static_cast<size_t>(options_.top_k))
                                      : candidates_.size();
  std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(k), candidates_.end(),
                    likelier);
  candidates_.resize(k);

  // Softmax at the temperature; then the filters on probabilities, in the order top-p, min-p.
  double total = 0;
  for (Candidate& c : candidates_) {
    c.probability = std::exp((static_cast<double>(c.logit) - candidates_[0].logit) / options_.temperature);
    total += c.probability;
  }
  double reached = 0;
  size_t keep = 0;
  while (keep < candidates_.size() && reached < options_.top_p * total) reached += candidates_[keep++].probability;
  while (keep > 1 && candidates_[keep - 1].probability < options_.min_p * candidates_[0].probability) --keep;
  candidates_.resize(std::max<size_t>(1, keep));

  double kept = 0;
  for (const Candidate& c : candidates_) kept += c.probability;
  double draw = random_.uniform() * kept;
  for (const Candidate& c : candidates_)
    if ((draw -= c.probability) < 0) return c.id;
  return candidates_.back().id;
}

}  // namespace mfa
