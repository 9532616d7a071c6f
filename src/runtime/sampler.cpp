#include "runtime/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace mfa {
namespace {

void check_range(const char* name, double value, double low, double high, const char* expected) {
  if (!(value >= low && value <= high)) bad_input("[sampler] {}, got {}, expected {}", name, value, expected);
}

void check(const SamplerOptions& o) {
  constexpr double kMost = 1e6;  // far beyond sense, and nothing overflows
  check_range("temperature", o.temperature, 0, kMost, "0 (greedy) to 1e6");
  if (o.top_k < 0) bad_input("[sampler] top-k, got {}, expected 0 or more", o.top_k);
  if (!(o.top_p > 0 && o.top_p <= 1)) bad_input("[sampler] top-p, got {}, expected more than 0, at most 1", o.top_p);
  if (!(o.typical_p > 0 && o.typical_p <= 1))
    bad_input("[sampler] typical-p, got {}, expected more than 0, at most 1", o.typical_p);
  check_range("min-p", o.min_p, 0, 1, "0 to 1");
  check_range("repetition penalty", o.repetition_penalty, 1e-6, kMost, "a positive number, 1 for none");
  check_range("frequency penalty", o.frequency_penalty, -kMost, kMost, "a number, 0 for none");
  check_range("presence penalty", o.presence_penalty, -kMost, kMost, "a number, 0 for none");
  if (o.penalty_last_n < -1)
    bad_input("[sampler] penalty-last-n, got {}, expected a number of tokens, or -1 for all", o.penalty_last_n);
  for (const LogitBias& b : o.bias)
    if (!(b.value < std::numeric_limits<float>::infinity()))
      bad_input("[sampler] bias of token {}, got {}, expected a number, or -inf to ban it", b.id, b.value);
}

constexpr auto kLikelier = [](const auto& a, const auto& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
};

}  // namespace

Sampler::Sampler(const SamplerOptions& options) : options_(options), random_(options.seed) { check(options); }

void Sampler::accept(std::span<const int32_t> ids) {
  if (options_.penalty_last_n == 0) return;
  for (const int32_t id : ids) {
    window_.push_back(id);
    ++seen_[id];
    if (options_.penalty_last_n < 0 || static_cast<int64_t>(window_.size()) <= options_.penalty_last_n) continue;
    if (--seen_[window_.front()] == 0) seen_.erase(window_.front());
    window_.pop_front();
  }
}

void Sampler::forget() {
  window_.clear();
  seen_.clear();
}

void Sampler::collect(std::span<const float> logits) {
  candidates_.resize(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!(logits[i] < std::numeric_limits<float>::infinity()))
      fail("[sampler] the model gave a logit that is not a number (token {})", i);
    candidates_[i] = {static_cast<int32_t>(i), static_cast<double>(logits[i]), 0, 0};
  }
  for (const LogitBias& bias : options_.bias) {
    if (bias.id < 0 || bias.id >= static_cast<int32_t>(logits.size()))
      bad_input("[sampler] token to bias, got {}, expected 0 to {}", bias.id, logits.size() - 1);
    candidates_[static_cast<size_t>(bias.id)].logit += static_cast<double>(bias.value);
  }
}

void Sampler::penalise() {
  for (const auto& [id, times] : seen_) {
    if (id < 0 || id >= static_cast<int32_t>(candidates_.size())) continue;
    double& logit = candidates_[static_cast<size_t>(id)].logit;
    logit = logit <= 0 ? logit * options_.repetition_penalty : logit / options_.repetition_penalty;
    logit -= static_cast<double>(times) * options_.frequency_penalty + options_.presence_penalty;
  }
}

// weight = exp((logit − largest) / temperature); returns their sum.
double Sampler::weigh(double temperature) {
  double largest = -std::numeric_limits<double>::infinity(), total = 0;
  for (const Candidate& c : candidates_) largest = std::max(largest, c.logit);
  for (Candidate& c : candidates_) total += c.weight = std::exp((c.logit - largest) / temperature);
  return total;
}

// Looks at 64 candidates first and at four times as many when they do not suffice: what is kept is mostly few.
template <class Before>
void Sampler::keep_until(double target, bool beyond, Before before) {
  double reached = 0;
  size_t keep = 0;
  const auto enough = [&] { return beyond ? reached > target : reached >= target; };
  for (size_t sorted = 0, block = 64; sorted < candidates_.size() && !enough(); block *= 4) {
    const size_t end = std::min(candidates_.size(), sorted + block);
    const auto at = [&](size_t i) { return candidates_.begin() + static_cast<std::ptrdiff_t>(i); };
    if (end < candidates_.size()) std::nth_element(at(sorted), at(end), candidates_.end(), before);
    std::sort(at(sorted), at(end), before);
    sorted = end;
    while (keep < sorted && !enough()) reached += candidates_[keep++].weight;
  }
  candidates_.resize(std::max<size_t>(keep, 1));
}

void Sampler::top_k() {
  const auto k = static_cast<size_t>(options_.top_k);
  if (k == 0 || k >= candidates_.size()) return;
  const auto end = candidates_.begin() + static_cast<std::ptrdiff_t>(k);
  std::nth_element(candidates_.begin(), end, candidates_.end(), kLikelier);
  std::sort(candidates_.begin(), end, kLikelier);
  candidates_.resize(k);
}

// Meister et al., Locally typical sampling (2022).
void Sampler::typical() {
  if (options_.typical_p >= 1) return;
  const double total = weigh(1);
  double entropy = 0;
  for (Candidate& c : candidates_) {
    c.distance = -std::log(c.weight / total);  // infinite for tokens of probability zero: they come last
    if (c.weight > 0) entropy += c.weight / total * c.distance;
  }
  for (Candidate& c : candidates_) c.distance = std::abs(c.distance - entropy);
  keep_until(options_.typical_p * total, true, [](const Candidate& a, const Candidate& b) {
    return a.distance < b.distance || (a.distance == b.distance && a.id < b.id);
  });
}

void Sampler::top_p() {
  if (options_.top_p < 1) keep_until(options_.top_p * weigh(1), false, kLikelier);
}

void Sampler::min_p() {
  if (options_.min_p <= 0) return;
  weigh(1);  // the likeliest one's weight is 1
  std::erase_if(candidates_, [&](const Candidate& c) { return c.weight < options_.min_p; });
}

void Sampler::filter() {
  top_k();
  typical();
  top_p();
  min_p();
}

std::vector<TokenProbability> Sampler::distribution(std::span<const float> logits) {
  if (logits.empty()) fail("[sampler] there are no logits to choose from");
  collect(logits);
  penalise();
  const Candidate likeliest = *std::min_element(candidates_.begin(), candidates_.end(), kLikelier);
  if (likeliest.logit == -std::numeric_limits<double>::infinity())
    fail("[sampler] no token is left: every one has a logit of -inf");
  if (greedy()) return {{likeliest.id, 1}};
  filter();
  const double total = weigh(options_.temperature);
  std::vector<TokenProbability> left;
  left.reserve(candidates_.size());
  for (const Candidate& c : candidates_) left.push_back({c.id, c.weight / total});
  return left;
}

int32_t Sampler::sample(std::span<const float> logits) {
  const std::vector<TokenProbability> left = distribution(logits);
  if (left.size() == 1) return left.front().id;
  double draw = random_.uniform();
  for (const TokenProbability& t : left)
    if ((draw -= t.probability) < 0) return t.id;
  // Rounding left a crumb of the draw over; a banned token is not to be chosen by it.
  return std::find_if(left.rbegin(), left.rend(), [](const TokenProbability& t) { return t.probability > 0; })->id;
}

}  // namespace mfa
