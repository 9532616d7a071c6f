#include "runtime/sampler.h"

#include <algorithm>
#include <array>
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

// Sorts the first of `all` by `before` until their weights reach `target` (exceed it if `beyond`); drops the rest.
// Looks at 64 first and at four times as many when they do not suffice: what is kept is mostly few.
template <class T, class Before>
void keep_until(std::vector<T>& all, double target, bool beyond, Before before) {
  double reached = 0;
  size_t keep = 0;
  const auto enough = [&] { return beyond ? reached > target : reached >= target; };
  const auto at = [&](size_t i) { return all.begin() + static_cast<std::ptrdiff_t>(i); };
  for (size_t sorted = 0, block = 64; sorted < all.size() && !enough(); block *= 4) {
    const size_t end = std::min(all.size(), sorted + block);
    if (end < all.size()) std::nth_element(at(sorted), at(end), all.end(), before);
    std::sort(at(sorted), at(end), before);
    sorted = end;
    while (keep < sorted && !enough()) reached += all[keep++].weight;
  }
  all.resize(std::max<size_t>(keep, 1));
}

// The k likeliest come first, in any order.
template <class T>
void select_likeliest(std::vector<T>& all, size_t k) {
  std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(k - 1), all.end(), kLikelier);
  all.resize(k);
}

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

// Logits with bias and penalties; those of the caller where there are none.
std::span<const float> Sampler::adjusted(std::span<const float> logits) {
  for (size_t i = 0; i < logits.size(); ++i)
    if (!(logits[i] < std::numeric_limits<float>::infinity()))
      fail("[sampler] the model gave a logit that is not a number (token {})", i);
  if (options_.bias.empty() && seen_.empty()) return logits;
  adjusted_.assign(logits.begin(), logits.end());
  for (const LogitBias& bias : options_.bias) {
    if (bias.id < 0 || bias.id >= static_cast<int32_t>(logits.size()))
      bad_input("[sampler] token to bias, got {}, expected 0 to {}", bias.id, logits.size() - 1);
    adjusted_[static_cast<size_t>(bias.id)] += bias.value;
  }
  for (const auto& [id, times] : seen_) {
    if (id < 0 || id >= static_cast<int32_t>(logits.size())) continue;
    const auto logit = static_cast<double>(adjusted_[static_cast<size_t>(id)]);
    const double scaled = logit <= 0 ? logit * options_.repetition_penalty : logit / options_.repetition_penalty;
    adjusted_[static_cast<size_t>(id)] = static_cast<float>(
        scaled - static_cast<double>(times) * options_.frequency_penalty - options_.presence_penalty);
  }
  return adjusted_;
}

// The tokens that top-k leaves, sorted; all in order of id without it. Ids ascend, so that of equal logits the earlier
// is the better and one that only equals the k-th best so far is out.
void Sampler::collect(std::span<const float> logits) {
  candidates_.clear();
  const auto k = static_cast<size_t>(options_.top_k);
  if (k == 0 || k >= logits.size()) {
    candidates_.reserve(logits.size());
    for (size_t i = 0; i < logits.size(); ++i) candidates_.push_back({static_cast<int32_t>(i), logits[i], 0});
    return;
  }
  const size_t room = std::max<size_t>(4 * k, 1024);
  bool full = false;  // k candidates that are better than `bound`, or first with it
  float bound = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (full && logits[i] <= bound) continue;
    candidates_.push_back({static_cast<int32_t>(i), logits[i], 0});
    if (candidates_.size() < room) continue;
    select_likeliest(candidates_, k);
    bound = candidates_.back().logit;
    full = true;
  }
  select_likeliest(candidates_, k);
  std::sort(candidates_.begin(), candidates_.end(), kLikelier);
}

// weight = exp((logit − largest) / temperature); returns their sum.
double Sampler::weigh(double temperature) {
  largest_ = -std::numeric_limits<float>::infinity();
  for (const Candidate& c : candidates_) largest_ = std::max(largest_, c.logit);
  double total = 0;
  for (Candidate& c : candidates_)
    total += c.weight = std::exp((static_cast<double>(c.logit) - static_cast<double>(largest_)) / temperature);
  return total;
}

// Meister et al., Locally typical sampling (2022).
void Sampler::typical() {
  if (options_.typical_p >= 1) return;
  const double total = weigh(1);
  struct Typical {
    Candidate token;
    double weight, distance;
  };
  std::vector<Typical> all;
  all.reserve(candidates_.size());
  double entropy = 0;
  for (const Candidate& c : candidates_) {
    const double surprise = -std::log(c.weight / total);  // infinite for tokens of probability zero: they come last
    if (c.weight > 0) entropy += c.weight / total * surprise;
    all.push_back({c, c.weight, surprise});
  }
  for (Typical& t : all) t.distance = std::abs(t.distance - entropy);
  keep_until(all, options_.typical_p * total, true, [](const Typical& a, const Typical& b) {
    return a.distance < b.distance || (a.distance == b.distance && a.token.id < b.token.id);
  });
  candidates_.clear();
  for (const Typical& t : all) candidates_.push_back(t.token);
}

// Most of a vocabulary is too unlikely to matter: sums over steps of 1/8 nat below the likeliest tell which tokens can
// be among those that reach the target (one step more, since sums in another order round otherwise); only they are
// sorted.
void Sampler::top_p() {
  if (options_.top_p >= 1) return;
  const double target = options_.top_p * weigh(1);
  std::array<double, 256> weights{};
  const auto step = [&](const Candidate& c) {
    return static_cast<size_t>(std::min(8 * (largest_ - c.logit), static_cast<float>(weights.size() - 1)));
  };
  for (const Candidate& c : candidates_) weights[step(c)] += c.weight;
  size_t last = 0;
  for (double reached = weights[0]; reached < target && last + 1 < weights.size();) reached += weights[++last];
  std::erase_if(candidates_, [&](const Candidate& c) { return step(c) > last + 1; });
  keep_until(candidates_, target, false, kLikelier);
}

void Sampler::min_p() {
  if (options_.min_p <= 0) return;
  weigh(1);  // the likeliest one's weight is 1
  std::erase_if(candidates_, [&](const Candidate& c) { return c.weight < options_.min_p; });
}

std::vector<TokenProbability> Sampler::distribution(std::span<const float> logits) {
  if (logits.empty()) fail("[sampler] there are no logits to choose from");
  const std::span<const float> values = adjusted(logits);
  const auto likeliest = std::max_element(values.begin(), values.end());
  if (*likeliest == -std::numeric_limits<float>::infinity())
    fail("[sampler] no token is left: every one has a logit of -inf");
  if (greedy()) return {{static_cast<int32_t>(likeliest - values.begin()), 1}};
  collect(values);
  typical();
  top_p();
  min_p();
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
