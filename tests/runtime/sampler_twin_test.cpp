// The sampler against llama.cpp's (a fixture), and against a plain twin that sorts the whole vocabulary.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/file.h"
#include "formats/json.h"
#include "runtime/sampler.h"

namespace mfa {
namespace {

SamplerOptions options_of(const Json& o) {
  SamplerOptions options{.penalty_last_n = o["penalty_last_n"],
                         .repetition_penalty = o["repetition_penalty"],
                         .frequency_penalty = o["frequency_penalty"],
                         .presence_penalty = o["presence_penalty"],
                         .top_k = o["top_k"],
                         .typical_p = o["typical_p"],
                         .top_p = o["top_p"],
                         .min_p = o["min_p"],
                         .temperature = o["temperature"]};
  for (const Json& bias : o["bias"]) options.bias.push_back({bias[0], bias[1]});
  return options;
}

// tests/fixtures/sampler/make_cases.py. llama.cpp computes logits in float: below 30 in size after temperature, their
// three roundings (bias, penalty, temperature) move a probability by less than 3 · 30 · 6e-8 = 6e-6 of itself.
TEST(SamplerTwin, LeavesWhatLlamaCppLeaves) {
  const std::string file = std::string(MFA_FIXTURES) + "/sampler/cases.json";
  const Json cases = parse_json(MappedFile(file).text(), file);
  ASSERT_GE(cases.size(), 50u);
  for (const Json& c : cases) {
    SCOPED_TRACE(c["options"].dump());
    Sampler sampler(options_of(c["options"]));
    sampler.accept(c["history"].get<std::vector<int32_t>>());
    std::map<int32_t, double> actual;
    for (const TokenProbability& t : sampler.distribution(c["logits"].get<std::vector<float>>()))
      actual[t.id] = t.probability;
    ASSERT_EQ(actual.size(), c["expected"].size());
    for (const Json& expected : c["expected"]) {
      const double p = expected[1];
      ASSERT_TRUE(actual.contains(expected[0]));
      EXPECT_NEAR(actual[expected[0]], p, 1e-5 * p);
    }
  }
}

// The filters as their definitions read: sort everything, walk, stop.
std::set<int32_t> twin(std::span<const float> logits, const SamplerOptions& o) {
  struct Token {
    int32_t id;
    double logit, p, distance;
  };
  std::vector<Token> all;
  for (size_t i = 0; i < logits.size(); ++i)
    all.push_back({static_cast<int32_t>(i), static_cast<double>(logits[i]), 0, 0});
  const auto by_logit = [](const Token& a, const Token& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
  };
  const auto softmax = [&] {
    double total = 0, largest = all[0].logit;
    for (const Token& t : all) largest = std::max(largest, t.logit);
    for (Token& t : all) total += t.p = std::exp(t.logit - largest);
    for (Token& t : all) t.p /= total;
  };
  std::sort(all.begin(), all.end(), by_logit);
  if (o.top_k > 0) all.resize(std::min(all.size(), static_cast<size_t>(o.top_k)));
  if (o.typical_p < 1) {
    softmax();
    double entropy = 0, sum = 0;
    for (const Token& t : all) entropy -= t.p * std::log(t.p);
    for (Token& t : all) t.distance = std::abs(-std::log(t.p) - entropy);
    std::sort(all.begin(), all.end(), [](const Token& a, const Token& b) {
      return a.distance < b.distance || (a.distance == b.distance && a.id < b.id);
    });
    size_t n = 0;
    while (n < all.size() && sum <= o.typical_p) sum += all[n++].p;
    all.resize(n);
  }
  if (o.top_p < 1) {
    softmax();
    std::sort(all.begin(), all.end(), by_logit);
    double sum = 0;
    size_t n = 0;
    while (n < all.size() && sum < o.top_p) sum += all[n++].p;
    all.resize(n);
  }
  std::set<int32_t> kept;
  const double largest = std::min_element(all.begin(), all.end(), by_logit)->logit;
  for (const Token& t : all)
    if (std::exp(t.logit - largest) >= o.min_p) kept.insert(t.id);
  return kept;
}

// Vocabularies beyond the first blocks of the partial sort (64, 64 + 256, …), with ties: logits in steps of 1/8.
TEST(SamplerTwin, LeavesWhatAFullSortLeaves) {
  Random random(3);
  size_t most = 0;
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<float> logits(static_cast<size_t>(1 + random.below(3000)));
    const double spread = 0.5 + 3 * random.uniform();
    for (float& x : logits) x = static_cast<float>(std::round(random.normal() * spread * 8) / 8);
    SamplerOptions o;
    if (random.below(2) == 0) o.top_k = static_cast<int64_t>(1 + random.below(1500));
    if (random.below(2) == 0) o.typical_p = 0.05 + 0.94 * random.uniform();
    if (random.below(2) == 0) o.top_p = 0.05 + 0.94 * random.uniform();
    if (random.below(2) == 0) o.min_p = 0.3 * random.uniform();
    std::set<int32_t> kept;
    double total = 0;
    for (const TokenProbability& t : Sampler(o).distribution(logits)) kept.insert(t.id), total += t.probability;
    EXPECT_EQ(kept, twin(logits, o)) << "trial " << trial;
    EXPECT_NEAR(total, 1, 1e-12);
    most = std::max(most, kept.size());
  }
  EXPECT_GT(most, 320u);  // some trial went beyond two blocks
}

}  // namespace
}  // namespace mfa
