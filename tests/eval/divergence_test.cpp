// Divergence of two models: the definitions on small rows, and two random models through the windows.
#include "eval/divergence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "base/error.h"
#include "model/random_model.h"

namespace mfa {
namespace {

std::vector<double> softmax(std::span<const float> x) {
  std::vector<double> p;
  double total = 0;
  for (const float v : x) total += std::exp(static_cast<double>(v));
  for (const float v : x) p.push_back(std::exp(static_cast<double>(v)) / total);
  return p;
}

TEST(CompareRow, IsTheDefinition) {
  const std::vector<float> logits = {0.5F, -1.0F, 2.0F, 0.25F}, reference = {1.5F, 0.0F, 1.25F, -2.0F};
  const std::vector<double> q = softmax(logits), p = softmax(reference);
  double kl = 0;
  for (size_t i = 0; i < 4; ++i) kl += p[i] * std::log(p[i] / q[i]);
  const RowDivergence row = compare_row(logits, reference, 3);
  // Sums of four doubles of size 1: a few 1e-16.
  EXPECT_NEAR(row.kl, kl, 1e-14);
  EXPECT_NEAR(row.nll, -std::log(q[3]), 1e-14);
  EXPECT_NEAR(row.reference_nll, -std::log(p[3]), 1e-14);
  EXPECT_FALSE(row.same_top);
  EXPECT_TRUE(compare_row(logits, logits, 0).same_top);
  EXPECT_EQ(compare_row(logits, logits, 0).kl, 0);
}

TEST(CompareRow, ShiftedLogitsAreTheSamePredictionAndHugeOnesDoNotOverflow) {
  const std::vector<float> a = {1000.0F, 999.0F, -1e30F}, b = {1.0F, 0.0F, -1e30F};
  EXPECT_NEAR(compare_row(a, b, 1).kl, 0, 1e-12);  // ln of sums at 1000: 1000 · 2^-53 of rounding
  EXPECT_NEAR(compare_row(a, b, 1).nll, compare_row(a, b, 1).reference_nll, 1e-12);
}

TEST(CompareRow, PaddingOfOneVocabularyDoesNotCount) {
  const std::vector<float> padded = {0.5F, 1.0F, 9.0F}, plain = {0.5F, 1.0F};
  EXPECT_EQ(compare_row(padded, plain, 0).kl, 0);
  EXPECT_TRUE(compare_row(padded, plain, 0).same_top);
}

TEST(Percentile, IsLinearBetweenValues) {
  std::vector<double> values = {4, 1, 3, 2};
  EXPECT_DOUBLE_EQ(percentile(values, 0), 1);
  EXPECT_DOUBLE_EQ(percentile(values, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(percentile(values, 0.9), 3.7);
  EXPECT_DOUBLE_EQ(percentile(values, 1), 4);
  std::vector<double> one = {7};
  EXPECT_DOUBLE_EQ(percentile(one, 0.99), 7);
}

class DivergenceTest : public testing::Test {
 protected:
  DivergenceTest() : device_(make_cpu_device()) {
    device_->set_precision(Precision::f32);
    PresetOptions o;
    o.width = 16, o.layers = 2, o.vocab = 11, o.context = 100;
    o.heads = o.head_dim = 4, o.ffn = 12;
    config_ = make_preset("mfa", o);
    for (std::optional<Engine>* engine : {&a_, &b_}) {
      ParameterStore weights(*device_, config_);
      test::randomise(weights, engine == &a_ ? 5 : 6, 0.2);
      engine->emplace(*device_, config_, weights, EngineOptions{});
    }
    ids_ = test::random_ids(500, config_.vocab, 4);
  }
  // Every logit of the windows' scored tokens, as the engine gives them for the whole window at once.
  std::vector<RowDivergence> rows(const PerplexityOptions& options) {
    std::vector<RowDivergence> all;
    for (const Window& w : perplexity_windows(*a_, 500, options)) {
      std::vector<float> logits[2];
      for (int i = 0; i < 2; ++i) {
        KvCache cache(*device_, config_, DType::f32, 200);
        Sequence sequence(cache);
        const std::vector<int32_t> ids = window_ids(ids_, w, options.bos);
        StepItem item{&sequence, ids, Wanted::all_logits, {}, {}};
        (i == 0 ? *a_ : *b_).step(cache, {&item, 1});
        logits[i] = item.result;
      }
      for (int64_t t = w.scored_from; t < w.count; ++t)
        all.push_back(compare_row(std::span(logits[0]).subspan(t * 11, 11), std::span(logits[1]).subspan(t * 11, 11),
                                  ids_[static_cast<size_t>(w.begin + t + 1)]));
    }
    return all;
  }
  std::unique_ptr<Device> device_;
  ModelConfig config_;
  std::optional<Engine> a_, b_;
  std::vector<int32_t> ids_;
};

TEST_F(DivergenceTest, IsThatOfTheWindowsRows) {
  for (const PerplexityOptions& options : {PerplexityOptions{}, PerplexityOptions{.stride = 30},
                                           PerplexityOptions{.context = 90, .score = Score::last_half, .bos = 2}}) {
    const DivergenceResult r = divergence(*device_, *a_, *b_, DType::f32, ids_, options);
    const std::vector<RowDivergence> expected = rows(options);
    ASSERT_EQ(r.tokens, static_cast<int64_t>(expected.size()));
    double kl = 0, most = 0, same = 0, difference = 0, nll = 0;
    for (const RowDivergence& row : expected) {
      kl += row.kl, same += row.same_top, nll += row.nll, most = std::max(most, row.kl);
      difference += std::exp(-row.nll) - std::exp(-row.reference_nll);
    }
    const auto n = static_cast<double>(expected.size());
    // Logits are bitwise the same however a window is cut; sums of 500 doubles are good to 1e-13.
    EXPECT_NEAR(r.kl_mean, kl / n, 1e-12);
    EXPECT_EQ(r.kl_max, most);
    EXPECT_NEAR(r.same_top, same / n, 1e-12);
    EXPECT_NEAR(r.probability_difference_mean, difference / n, 1e-12);
    EXPECT_NEAR(r.nll, nll, 1e-10);
    EXPECT_GT(r.kl_mean, 0.01);  // the two models do differ
    EXPECT_LE(r.kl_median, r.kl_90);
    EXPECT_LE(r.kl_99, r.kl_max);
  }
}

TEST_F(DivergenceTest, AModelDoesNotDifferFromItselfAndItsPerplexityIsThePlainOne) {
  const DivergenceResult r = divergence(*device_, *a_, *a_, DType::f32, ids_, {});
  EXPECT_EQ(r.kl_max, 0);
  EXPECT_DOUBLE_EQ(r.same_top, 1);
  EXPECT_EQ(r.probability_difference_rms, 0);
  const PerplexityResult plain = perplexity(*device_, *a_, ids_, {});
  EXPECT_EQ(plain.tokens, r.tokens);
  EXPECT_NEAR(r.nll, plain.nll, 1e-5 * plain.nll);  // losses come in float from the device, here they are double
}

TEST_F(DivergenceTest, IdsThatOneModelLacksAreBadInput) {
  ids_[20] = 11;
  EXPECT_THROW(divergence(*device_, *a_, *b_, DType::f32, ids_, {}), BadInput);
}

}  // namespace
}  // namespace mfa
