// Perplexity against −log softmax of the training model's logits, window by window.
#include "eval/perplexity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "model/random_model.h"
#include "model/transformer.h"

namespace mfa {
namespace {

constexpr int64_t kContext = 24;

struct Expected {
  double nll = 0, magnitude = 0;  // Σ −log p, and Σ (|largest logit| + 1), which rounding is proportional to
  int64_t tokens = 0;
};

// A random model on the CPU in f32, as the engine of inference and as the model of training.
class PerplexityTest : public testing::TestWithParam<const char*> {
 protected:
  PerplexityTest() : device_(make_cpu_device()), config_(make(GetParam())) {
    device_->set_precision(Precision::f32);
    weights_.emplace(*device_, config_);
    test::randomise(*weights_, 5, 0.2);
    engine_.emplace(*device_, config_, *weights_, EngineOptions{});
  }

  static ModelConfig make(const std::string& preset) {
    PresetOptions o;
    o.width = 16, o.layers = 2, o.vocab = 11, o.context = kContext;
    o.heads = o.head_dim = 4, o.ffn = 12;
    return make_preset(preset, o);
  }

  std::vector<int32_t> ids(int64_t n) const { return test::random_ids(n, config_.vocab, 4); }

  PerplexityResult measure(std::span<const int32_t> ids, const PerplexityOptions& options) {
    return perplexity(*device_, *engine_, ids, options);
  }

  // The definition. A target is scored once, in the first window that reaches it; it sees its window from the start.
  Expected expected(std::span<const int32_t> ids, int64_t context, int64_t stride) {
    Expected sum;
    const auto targets = static_cast<int64_t>(ids.size()) - 1;
    int64_t scored = 0;
    for (int64_t begin = 0; scored < targets; begin += stride) {
      const int64_t count = std::min(context, targets - begin);
      Transformer model(*weights_, nullptr, config_, 1, count);
      const std::vector<double> logits = model.logits({ids.subspan(begin, count), {}, {}});
      for (; scored < begin + count; ++scored)
        add(std::span(logits).subspan((scored - begin) * config_.vocab, config_.vocab), ids[scored + 1], sum);
    }
    return sum;
  }

  static void add(std::span<const double> row, int32_t target, Expected& sum) {
    double total = 0, largest = 0;
    for (const double x : row) total += std::exp(x), largest = std::max(largest, std::abs(x));
    sum.nll += std::log(total) - row[static_cast<size_t>(target)];
    sum.magnitude += largest + 1;
    ++sum.tokens;
  }

  // Both sides round in f32. Products are sums of at most 16 terms, each off by about sqrt(16)·6e-8 of its size;
  // through some twenty of them in a row that is sqrt(20)·2.4e-7 = 1e-6 of the largest logit. −log p moves by at most
  // twice a logit's error; ten times that is allowed. Other windows differ far more: ExpectedValuesDependOnTheWindows.
  static constexpr double kTolerance = 2e-5;
  void check(int64_t tokens, const PerplexityOptions& options, int64_t context, int64_t stride) {
    const std::vector<int32_t> text = ids(tokens);
    const Expected e = expected(text, context, stride);
    const PerplexityResult result = measure(text, options);
    EXPECT_EQ(result.tokens, tokens - 1);
    EXPECT_EQ(e.tokens, tokens - 1);
    EXPECT_NEAR(result.nll, e.nll, kTolerance * e.magnitude);
    EXPECT_DOUBLE_EQ(result.per_token(), result.nll / static_cast<double>(tokens - 1));
  }

  std::unique_ptr<Device> device_;
  ModelConfig config_;
  std::optional<ParameterStore> weights_;
  std::optional<Engine> engine_;
};

TEST_P(PerplexityTest, WindowsBesideEachOther) {
  check(4 * kContext + 1, {}, kContext, kContext);   // whole windows
  check(4 * kContext + 10, {}, kContext, kContext);  // and a short last one
  check(2, {}, kContext, kContext);                  // a single target
  check(100, {.context = 7}, 7, 7);                  // a context of one's own
  check(50, {.context = kContext, .stride = kContext}, kContext, kContext);
}

TEST_P(PerplexityTest, WindowsThatOverlap) {
  check(100, {.stride = 5}, kContext, 5);
  check(100, {.context = 12, .stride = 1}, 12, 1);
  check(kContext, {.stride = 5}, kContext, 5);      // the first window holds it all
  check(kContext + 2, {.stride = 5}, kContext, 5);  // one target more
}

TEST_P(PerplexityTest, ExpectedValuesDependOnTheWindows) {
  const std::vector<int32_t> text = ids(100);
  const Expected apart = expected(text, kContext, kContext), overlapping = expected(text, kContext, 5);
  EXPECT_GT(std::abs(apart.nll - overlapping.nll), 2 * kTolerance * (apart.magnitude + overlapping.magnitude));
}

// Windows are rows of one step, whose results are bitwise independent of their company.
TEST_P(PerplexityTest, NumberOfSequencesChangesNothing) {
  const std::vector<int32_t> text = ids(150);
  const PerplexityResult one = measure(text, {.stride = 10, .sequences = 1});
  for (const int64_t sequences : {2, 3, 50}) {
    const PerplexityResult many = measure(text, {.stride = 10, .sequences = sequences});
    EXPECT_EQ(many.nll, one.nll) << sequences;
    EXPECT_EQ(many.tokens, one.tokens) << sequences;
  }
}

// The second half of each window alone, and a first token that stands in for the text's.
TEST_P(PerplexityTest, LastHalvesBehindABos) {
  const std::vector<int32_t> text = ids(5 * kContext + 3);
  Expected e;
  for (int64_t begin = 0; begin + kContext <= static_cast<int64_t>(text.size()); begin += kContext) {
    std::vector<int32_t> window(text.begin() + begin, text.begin() + begin + kContext);
    window[0] = 3;
    Transformer model(*weights_, nullptr, config_, 1, kContext);
    const std::vector<double> logits = model.logits({window, {}, {}});
    for (int64_t t = kContext / 2; t < kContext - 1; ++t)
      add(std::span(logits).subspan(t * config_.vocab, config_.vocab), window[static_cast<size_t>(t + 1)], e);
  }
  const PerplexityResult r = measure(text, {.score = Score::last_half, .bos = 3});
  EXPECT_EQ(r.tokens, 5 * (kContext - 1 - kContext / 2));
  EXPECT_EQ(r.tokens, e.tokens);
  EXPECT_EQ(r.windows, 5);
  EXPECT_NEAR(r.nll, e.nll, kTolerance * e.magnitude);
  const PerplexityResult without = measure(text, {.score = Score::last_half});
  EXPECT_GT(std::abs(without.nll - r.nll), 2 * kTolerance * e.magnitude);  // the first token does matter
}

TEST_P(PerplexityTest, TheLimitScoresTheFirstWindows) {
  const std::vector<int32_t> text = ids(6 * kContext);
  const PerplexityResult r = measure(text, {.windows = 2});
  EXPECT_EQ(r.tokens, 2 * kContext);
  EXPECT_EQ(r.nll, measure(std::span(text).first(2 * kContext + 1), {}).nll);
}

TEST_P(PerplexityTest, ProgressEndsAtTheNumberOfWindows) {
  std::vector<std::pair<int64_t, int64_t>> calls;
  perplexity(*device_, *engine_, ids(5 * kContext + 1), {.sequences = 2},
             [&](int64_t done, int64_t all) { calls.emplace_back(done, all); });
  EXPECT_EQ(calls, (std::vector<std::pair<int64_t, int64_t>>{{2, 5}, {4, 5}, {5, 5}}));
}

TEST_P(PerplexityTest, TextsThatAreTooShortAndWindowsThatDoNotFitAreBadInput) {
  const std::vector<int32_t> text = ids(50);
  EXPECT_THROW(measure({}, {}), BadInput);
  EXPECT_THROW(measure(std::span(text).first(1), {}), BadInput);
  EXPECT_THROW(measure(text, {.stride = kContext + 1}), BadInput);
  EXPECT_THROW(measure(text, {.context = 8, .stride = 9}), BadInput);
  EXPECT_THROW(measure(text, {.context = kContext + 1}), BadInput);
  EXPECT_THROW(measure(text, {.sequences = 0}), BadInput);
}

INSTANTIATE_TEST_SUITE_P(Variants, PerplexityTest, testing::Values("mha", "mla", "mfa", "mfa-kr"),
                         [](const testing::TestParamInfo<const char*>& param) {
                           std::string name = param.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace mfa
