// The sampler against the exact distributions: which tokens may appear, and how often.
#include "runtime/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "base/error.h"

namespace mfa {
namespace {

constexpr int64_t kDraws = 100'000;

std::vector<int64_t> draw_counts(const SamplerOptions& options, std::span<const float> logits, int64_t draws = kDraws) {
  Sampler sampler(options);
  std::vector<int64_t> counts(logits.size(), 0);
  for (int64_t i = 0; i < draws; ++i) ++counts.at(static_cast<size_t>(sampler.sample(logits)));
  return counts;
}

// The definition, over all tokens and in any order of logits.
std::vector<double> softmax(std::span<const float> logits, double temperature) {
  std::vector<double> p(logits.begin(), logits.end());
  double total = 0;
  for (double& x : p) total += x = std::exp(x / temperature);
  for (double& x : p) x /= total;
  return p;
}

// The same with only the named tokens left.
std::vector<double> renormalised(std::vector<double> p, const std::set<size_t>& kept) {
  double total = 0;
  for (size_t i = 0; i < p.size(); ++i) total += kept.contains(i) ? p[i] : 0;
  for (size_t i = 0; i < p.size(); ++i) p[i] = kept.contains(i) ? p[i] / total : 0;
  return p;
}

// Tokens of probability 0 never appear. For the others Σ (count − n p)² / (n p) has, over k tokens, mean k − 1 and
// variance 2(k − 1) + (Σ 1/p − k² − 2k + 2) / n. The seed is fixed, so the test cannot flicker; six deviations only
// say how unlucky a seed would have to be: a chance of 2e-3 with two tokens, 2e-4 with seven (the tails of χ²). A
// probability that is wrong by a share e adds n p e², so errors of a few percent are seen.
void expect_distribution(const std::vector<int64_t>& counts, const std::vector<double>& p) {
  int64_t n = 0;
  for (const int64_t count : counts) n += count;
  double statistic = 0, inverse = 0, k = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    if (p[i] == 0) {
      EXPECT_EQ(counts[i], 0) << "token " << i << " is filtered";
      continue;
    }
    const double expected = static_cast<double>(n) * p[i], difference = static_cast<double>(counts[i]) - expected;
    ASSERT_GE(expected, 5) << "too few draws for token " << i;
    statistic += difference * difference / expected;
    inverse += 1 / p[i];
    k += 1;
  }
  const double variance = 2 * (k - 1) + (inverse - k * k - 2 * k + 2) / static_cast<double>(n);
  EXPECT_LE(statistic, k - 1 + 6 * std::sqrt(std::max(variance, 0.0)) + 1e-9);
}

// Not sorted, with a tie (1 and 4); probabilities about .045 .332 .012 .122 .332 .002 .155.
const std::vector<float> kLogits = {0.0F, 2.0F, -1.3F, 1.0F, 2.0F, -3.0F, 1.24F};

TEST(Sampler, GreedyTakesTheLargestAndTheLowestIdOfEquals) {
  Sampler sampler({.greedy = true});
  EXPECT_EQ(sampler.sample(kLogits), 1);
  const std::vector<float> last = {-5.0F, -7.0F, -4.0F}, equal(9, 0.5F);
  EXPECT_EQ(sampler.sample(last), 2);
  EXPECT_EQ(sampler.sample(equal), 0);
}

TEST(Sampler, DrawsFollowTheSoftmaxAtEachTemperature) {
  for (const double temperature : {0.6, 1.0, 2.5}) {
    SCOPED_TRACE(temperature);
    expect_distribution(draw_counts({.temperature = temperature, .seed = 1}, kLogits), softmax(kLogits, temperature));
  }
}

TEST(Sampler, HugeLogitsAndTemperaturesNearZeroDoNotOverflow) {
  const std::vector<float> huge = {1e30F, -1e30F, 1e30F};
  expect_distribution(draw_counts({.seed = 2}, huge), {0.5, 0, 0.5});
  const std::vector<float> near = {1.0F, 1.001F, 0.999F};
  expect_distribution(draw_counts({.temperature = 1e-6, .seed = 2}, near, 1000), {0, 1, 0});
}

TEST(Sampler, TopKLeavesTheLikeliestAndTheLowestIdsOfEquals) {
  const std::vector<double> p = softmax(kLogits, 1);
  expect_distribution(draw_counts({.top_k = 3, .seed = 3}, kLogits), renormalised(p, {1, 4, 6}));
  expect_distribution(draw_counts({.top_k = 1, .seed = 3}, kLogits, 1000), renormalised(p, {1}));
  expect_distribution(draw_counts({.top_k = 100, .seed = 3}, kLogits), p);
  const std::vector<float> equal(5, 1.0F);
  expect_distribution(draw_counts({.top_k = 2, .seed = 3}, equal), {0.5, 0.5, 0, 0, 0});
}

TEST(Sampler, TopPLeavesTheSmallestSetThatReachesIt) {
  // ln of .5 .3 .15 .05: cumulated .5 .8 .95 1, and the bounds lie well between them.
  const std::vector<float> logits = {std::log(0.15F), std::log(0.5F), std::log(0.05F), std::log(0.3F)};
  const std::vector<double> p = softmax(logits, 1);
  expect_distribution(draw_counts({.top_p = 0.45, .seed = 4}, logits, 1000), renormalised(p, {1}));
  expect_distribution(draw_counts({.top_p = 0.55, .seed = 4}, logits), renormalised(p, {1, 3}));
  expect_distribution(draw_counts({.top_p = 0.85, .seed = 4}, logits), renormalised(p, {0, 1, 3}));
  expect_distribution(draw_counts({.top_p = 1.0, .seed = 4}, logits), p);
}

TEST(Sampler, MinPLeavesTokensOfAtLeastItsShareOfTheLikeliest) {
  const std::vector<float> logits = {std::log(0.15F), std::log(0.5F), std::log(0.05F), std::log(0.3F)};
  const std::vector<double> p = softmax(logits, 1);  // shares of the likeliest: .3 1 .1 .6
  expect_distribution(draw_counts({.min_p = 0.05, .seed = 5}, logits), p);
  expect_distribution(draw_counts({.min_p = 0.2, .seed = 5}, logits), renormalised(p, {0, 1, 3}));
  expect_distribution(draw_counts({.min_p = 0.5, .seed = 5}, logits), renormalised(p, {1, 3}));
  expect_distribution(draw_counts({.min_p = 1.0, .seed = 5}, logits, 1000), renormalised(p, {1}));
}

TEST(Sampler, FiltersSeeTheProbabilitiesBeforeTheTemperature) {
  // Shares of the likeliest .3 1 .1 .6; at temperature 2 they would be .548 1 .316 .775, and token 0 would stay.
  const std::vector<float> logits = {std::log(0.15F), std::log(0.5F), std::log(0.05F), std::log(0.3F)};
  expect_distribution(draw_counts({.min_p = 0.5, .temperature = 2, .seed = 6}, logits),
                      renormalised(softmax(logits, 2), {1, 3}));
}

TEST(Sampler, TypicalLeavesTheTokensNearestTheEntropy) {
  // −ln of .5 .3 .15 .05 is .693 1.204 1.897 2.996, the entropy 1.142: nearest first .3, .5, .15, .05.
  const std::vector<float> logits = {std::log(0.15F), std::log(0.5F), std::log(0.05F), std::log(0.3F)};
  const std::vector<double> p = softmax(logits, 1);
  expect_distribution(draw_counts({.typical_p = 0.2, .seed = 9}, logits, 1000), renormalised(p, {3}));
  expect_distribution(draw_counts({.typical_p = 0.5, .seed = 9}, logits), renormalised(p, {1, 3}));
  expect_distribution(draw_counts({.typical_p = 0.9, .seed = 9}, logits), renormalised(p, {0, 1, 3}));
}

TEST(Sampler, PenaltiesSeeTheLastTokensOnly) {
  const std::vector<float> logits = {1.0F, -1.0F, 0.5F, 0.0F};
  const SamplerOptions options{
      .penalty_last_n = 3, .repetition_penalty = 2, .frequency_penalty = 0.25, .presence_penalty = 0.125, .seed = 10};
  Sampler sampler(options);
  sampler.accept(std::vector<int32_t>{2, 2, 0, 1, 0});  // the window is 0 1 0
  // 1/2 − 2·.25 − .125, −1·2 − .25 − .125, untouched, untouched.
  const std::vector<double> p = softmax(std::vector<float>{-0.125F, -2.375F, 0.5F, 0.0F}, 1);
  const std::vector<TokenProbability> left = sampler.distribution(logits);
  ASSERT_EQ(left.size(), 4u);
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(left[i].probability, p[i], 1e-15);
  sampler.forget();
  EXPECT_NEAR(sampler.distribution(logits)[0].probability, softmax(logits, 1)[0], 1e-15);
  Sampler none({.penalty_last_n = 0, .frequency_penalty = 5});
  none.accept(0);
  EXPECT_NEAR(none.distribution(logits)[0].probability, softmax(logits, 1)[0], 1e-15);
  Sampler all({.greedy = true, .penalty_last_n = -1, .frequency_penalty = 0.01});
  for (int i = 0; i < 100; ++i) all.accept(0);  // 1 − 100·.01 falls below token 2's .5
  EXPECT_EQ(all.sample(logits), 2);
}

TEST(Sampler, BiasMovesOrBansTokens) {
  constexpr float kBan = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(Sampler({.greedy = true, .bias = {{1, kBan}, {0, 1.5F}}}).sample(kLogits), 4);
  EXPECT_EQ(Sampler({.greedy = true, .bias = {{0, 2.5F}}}).sample(kLogits), 0);
  const std::vector<int64_t> counts = draw_counts({.bias = {{4, kBan}}, .seed = 11}, kLogits);
  expect_distribution(counts, renormalised(softmax(kLogits, 1), {0, 1, 2, 3, 5, 6}));
  EXPECT_THROW(Sampler({.bias = {{7, 1}}}).sample(kLogits), BadInput);
  EXPECT_THROW(Sampler({.bias = {{-1, 1}}}).sample(kLogits), BadInput);
  SamplerOptions everything;
  for (int32_t id = 0; id < 7; ++id) everything.bias.push_back({id, kBan});
  EXPECT_THROW(Sampler(everything).sample(kLogits), Failure);
}

TEST(Sampler, LogitsThatAreNoNumbersAreAFailure) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
    for (const bool greedy : {true, false})
      EXPECT_THROW(Sampler({.greedy = greedy}).sample(std::vector<float>{0, bad}), Failure);
  EXPECT_THROW(Sampler({}).sample({}), Failure);
}

TEST(Sampler, TemperatureZeroIsGreedy) {
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(Sampler({.temperature = 0, .seed = static_cast<uint64_t>(i)}).sample(kLogits), 1);
}

TEST(Sampler, OneSeedGivesOneSequenceAndAnotherSeedAnother) {
  Sampler a({.seed = 7}), b({.seed = 7}), c({.seed = 8});
  std::vector<int32_t> drawn_a, drawn_b, drawn_c;
  for (int i = 0; i < 200; ++i) {
    drawn_a.push_back(a.sample(kLogits));
    drawn_b.push_back(b.sample(kLogits));
    drawn_c.push_back(c.sample(kLogits));
  }
  EXPECT_EQ(drawn_a, drawn_b);
  EXPECT_NE(drawn_a, drawn_c);  // equal by chance: below (1/3)^200
}

TEST(Sampler, OptionsOutOfRangeAreBadInput) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  for (const double temperature : {-1.0, kNan}) EXPECT_THROW(Sampler({.temperature = temperature}), BadInput);
  EXPECT_THROW(Sampler({.top_k = -1}), BadInput);
  for (const double top_p : {0.0, -0.1, 1.1, kNan}) EXPECT_THROW(Sampler({.top_p = top_p}), BadInput);
  for (const double min_p : {-0.1, 1.1, kNan}) EXPECT_THROW(Sampler({.min_p = min_p}), BadInput);
  for (const double typical_p : {0.0, 1.1, kNan}) EXPECT_THROW(Sampler({.typical_p = typical_p}), BadInput);
  for (const double penalty : {0.0, -1.0, kNan}) EXPECT_THROW(Sampler({.repetition_penalty = penalty}), BadInput);
  EXPECT_THROW(Sampler({.frequency_penalty = kNan}), BadInput);
  EXPECT_THROW(Sampler({.presence_penalty = kNan}), BadInput);
  EXPECT_THROW(Sampler({.penalty_last_n = -2}), BadInput);
  for (const float bias : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()})
    EXPECT_THROW(Sampler({.bias = {{0, bias}}}), BadInput);
  EXPECT_NO_THROW(Sampler({.top_k = 1, .top_p = 1, .min_p = 1, .temperature = 1e-3}));
}

}  // namespace
}  // namespace mfa
