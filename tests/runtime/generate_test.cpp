// The loop of prompt, choice and next token: what ends it, and that a sequence can be continued.
#include "runtime/generate.h"

#include <gtest/gtest.h>

#include <optional>

#include "base/error.h"
#include "model/random_model.h"

namespace mfa {
namespace {

constexpr int64_t kContext = 700;  // longer than a block of the prompt

class GenerateTest : public testing::Test {
 protected:
  GenerateTest() : device_(make_cpu_device()), config_(make()) {
    ParameterStore weights(*device_, config_);
    test::randomise(weights, 5, 0.3);
    engine_.emplace(*device_, config_, weights, EngineOptions{});
    cache_.emplace(*device_, config_, DType::f32, 2 * kContext);
  }
  static ModelConfig make() {
    PresetOptions o;
    o.width = 16, o.layers = 2, o.vocab = 23, o.context = kContext;
    o.heads = o.head_dim = 4, o.ffn = 12;
    return make_preset("mfa-kr", o);
  }
  GenerateResult run(std::span<const int32_t> prompt, const GenerateOptions& options, SamplerOptions sampling = {}) {
    Sampler sampler(sampling);
    return generate(*engine_, *cache_, prompt, sampler, options);
  }
  std::unique_ptr<Device> device_;
  ModelConfig config_;
  std::optional<Engine> engine_;
  std::optional<KvCache> cache_;
};

const std::vector<int32_t> kPrompt = {1, 5, 9};

TEST_F(GenerateTest, EndsAtTheLengthAndFreesItsPages) {
  const int64_t free = cache_->free_tokens();
  const GenerateResult result = run(kPrompt, {.new_tokens = 20}, {.seed = 3});
  EXPECT_EQ(result.ids.size(), 20u);
  EXPECT_EQ(result.prompt_tokens, 3);
  EXPECT_EQ(result.stopped, StopReason::length);
  EXPECT_GT(result.prefill_tokens_per_s, 0);
  EXPECT_GT(result.decode_tokens_per_s, 0);
  EXPECT_EQ(cache_->free_tokens(), free);
  EXPECT_TRUE(run(kPrompt, {.new_tokens = 0}).ids.empty());
}

TEST_F(GenerateTest, EndsBehindAnyOfItsEnds) {
  const std::vector<int32_t> all = run(kPrompt, {.new_tokens = 60}, {.seed = 3}).ids;
  const int32_t a = all[20], b = all[7];
  const auto first = std::find_if(all.begin(), all.end(), [&](int32_t id) { return id == a || id == b; });
  std::vector<int32_t> told;
  GenerateOptions options{.new_tokens = 60, .ends = {a, b}};
  options.on_token = [&](int32_t id) { return told.push_back(id), true; };
  const GenerateResult result = run(kPrompt, options, {.seed = 3});
  EXPECT_EQ(result.ids, (std::vector<int32_t>{all.begin(), first + 1}));
  EXPECT_EQ(told, result.ids);
  EXPECT_EQ(result.stopped, StopReason::end_of_text);
}

TEST_F(GenerateTest, EndsWhenTheCallerSaysSo) {
  GenerateOptions options{.new_tokens = 60};
  int64_t seen = 0;
  options.on_token = [&](int32_t) { return ++seen < 5; };
  const GenerateResult result = run(kPrompt, options);
  EXPECT_EQ(result.ids.size(), 5u);
  EXPECT_EQ(result.stopped, StopReason::caller);
}

TEST_F(GenerateTest, AnInterruptEndsThePromptOrTheText) {
  GenerateOptions options{.new_tokens = 60};
  options.interrupted = [] { return true; };
  GenerateResult result = run(kPrompt, options);
  EXPECT_TRUE(result.ids.empty());
  EXPECT_EQ(result.prompt_tokens, 0);
  EXPECT_EQ(result.stopped, StopReason::interrupted);
  int64_t asked = 0;
  options.interrupted = [&] { return ++asked == 4; };  // once before the prompt, then behind each token
  result = run(kPrompt, options);
  EXPECT_EQ(result.ids.size(), 3u);
  EXPECT_EQ(result.stopped, StopReason::interrupted);
}

TEST_F(GenerateTest, OnlyIdsOfTheVocabularyAreChosen) {
  for (const int32_t id : run(kPrompt, {.new_tokens = 200, .vocab = 4}, {.temperature = 5, .seed = 1}).ids)
    EXPECT_LT(id, 4);
}

TEST_F(GenerateTest, ThePromptsLogitsAreThoseOfTheEngineOverSeveralBlocks) {
  const std::vector<int32_t> prompt = test::random_ids(600, config_.vocab, 8);
  const GenerateResult result = run(prompt, {.new_tokens = 1, .keep_prompt_logits = true}, {.greedy = true});
  Sequence sequence(*cache_);
  StepItem item{&sequence, prompt, Wanted::all_logits, {}, {}};
  engine_->step(*cache_, {&item, 1});
  EXPECT_EQ(result.prompt_logits, item.result);
  const auto last = item.result.end() - config_.vocab;
  EXPECT_EQ(result.ids[0], std::max_element(last, item.result.end()) - last);
}

// A chat's second turn: the sequence holds the first already, and the sampler remembers it.
TEST_F(GenerateTest, AContinuedSequenceGoesOnAsTheWholeWould) {
  const SamplerOptions sampling{.frequency_penalty = 0.5, .seed = 4};
  const std::vector<int32_t> more = {2, 2, 7};
  Sampler sampler(sampling);
  Sequence sequence(*cache_);
  const GenerateResult first = generate(*engine_, *cache_, sequence, kPrompt, sampler, {.new_tokens = 10});
  ASSERT_EQ(sequence.length(), 3 + 9);  // the last token is chosen, not computed
  std::vector<int32_t> next = {first.ids.back()};
  next.insert(next.end(), more.begin(), more.end());
  // Penalties count the last token twice if it is accepted again with the prompt: the caller starts anew.
  std::vector<int32_t> whole = kPrompt;
  whole.insert(whole.end(), first.ids.begin(), first.ids.end());
  whole.insert(whole.end(), more.begin(), more.end());
  Sampler continued(sampling), fresh(sampling);
  continued.accept(std::span(whole).first(12));
  const GenerateResult a = generate(*engine_, *cache_, sequence, next, continued, {.new_tokens = 15});
  const GenerateResult b = generate(*engine_, *cache_, whole, fresh, {.new_tokens = 15});
  EXPECT_EQ(a.ids, b.ids);
  EXPECT_EQ(a.prompt_tokens, 4);
}

TEST_F(GenerateTest, WhatDoesNotFitIsBadInput) {
  EXPECT_THROW(run({}, {}), BadInput);
  const std::vector<int32_t> long_prompt = test::random_ids(kContext + 1, config_.vocab, 2);
  EXPECT_THROW(run(long_prompt, {.new_tokens = 0}), BadInput);
  EXPECT_THROW(run(kPrompt, {.new_tokens = kContext}), BadInput);
  EXPECT_EQ(run(kPrompt, {.new_tokens = kContext - 2}, {.greedy = true}).ids.size(), static_cast<size_t>(kContext - 2));
}

}  // namespace
}  // namespace mfa
