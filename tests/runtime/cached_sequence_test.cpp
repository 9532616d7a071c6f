// Reuse of a common prefix changes what is computed, never what comes out.
#include "runtime/cached_sequence.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "model/random_model.h"

namespace mfa {
namespace {

// A talk of random edits: prompts that extend the last text, replace its end, or start anew.
TEST(CachedSequence, RepliesAreThoseOfAFreshSequenceBitForBit) {
  const std::unique_ptr<Device> device = make_cpu_device();
  for (const test::ModelCase& c : test::model_cases()) {
    // One of each way to cache: keys and values, a latent, keys that are values before and behind RoPE, a window.
    if (c.name != "mha_alibi" && c.name != "mla_rope" && c.name != "kr_gated_before" && c.name != "kr_gated_after" &&
        c.name != "mha_window")
      continue;
    PresetOptions o = c.options;
    o.context = 400;
    const ModelConfig config = make_preset(c.preset, o);
    ParameterStore weights(*device, config);
    test::randomise(weights, 5, 0.3);
    Engine engine(*device, config, weights, {});
    for (const DType type : {DType::f32, DType::i8}) {
      KvCache cache(*device, config, type, 900);
      CachedSequence talk(cache);
      Random random(7);
      std::vector<int32_t> prompt = test::random_ids(70, config.vocab, 1);
      int64_t computed = 0, given = 0;
      for (uint64_t turn = 0; turn < 6; ++turn) {
        const SamplerOptions sampling{.presence_penalty = 0.3, .seed = turn};
        Sampler a(sampling), b(sampling);
        a.accept(3);  // forgotten with the turn before
        const GenerateResult reused = talk.generate(engine, cache, prompt, a, {.new_tokens = 12});
        const GenerateResult fresh = generate(engine, cache, prompt, b, {.new_tokens = 12});
        ASSERT_EQ(reused.ids, fresh.ids) << c.name << " turn " << turn;
        computed += reused.prompt_tokens;
        given += fresh.prompt_tokens;
        prompt.insert(prompt.end(), reused.ids.begin(), reused.ids.end());
        prompt.resize(prompt.size() - random.below(30));
        for (const int32_t id : test::random_ids(20, config.vocab, 100 + turn)) prompt.push_back(id);
      }
      EXPECT_LT(computed, given / 2) << c.name;
    }
  }
}

class CachedSequenceTest : public testing::Test {
 protected:
  CachedSequenceTest() : device_(make_cpu_device()) {
    const test::ModelCase c = test::model_cases()[0];
    PresetOptions o = c.options;
    o.context = 2000;
    config_ = make_preset(c.preset, o);
    ParameterStore weights(*device_, config_);
    test::randomise(weights, 5, 0.3);
    engine_ = std::make_unique<Engine>(*device_, config_, weights, EngineOptions{});
    cache_ = std::make_unique<KvCache>(*device_, config_, DType::f32, 2000);
  }
  std::unique_ptr<Device> device_;
  ModelConfig config_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<KvCache> cache_;
};

TEST_F(CachedSequenceTest, TheSamePromptComputesOneToken) {
  CachedSequence talk(*cache_);
  Sampler sampler({.greedy = true});
  const std::vector<int32_t> prompt = test::random_ids(100, config_.vocab, 3);
  const GenerateResult first = talk.generate(*engine_, *cache_, prompt, sampler, {.new_tokens = 5});
  const GenerateResult again = talk.generate(*engine_, *cache_, prompt, sampler, {.new_tokens = 5});
  EXPECT_EQ(first.prompt_tokens, 100);
  EXPECT_EQ(again.prompt_tokens, 1);
  EXPECT_EQ(again.ids, first.ids);
  EXPECT_EQ(talk.ids().size(), 100u + 4);
}

TEST_F(CachedSequenceTest, AnInterruptedPromptLeavesWhatWasComputed) {
  CachedSequence talk(*cache_);
  Sampler sampler({.greedy = true});
  const std::vector<int32_t> prompt = test::random_ids(1500, config_.vocab, 3);
  int asked = 0;
  GenerateOptions options{.new_tokens = 5};
  options.interrupted = [&] { return ++asked == 2; };
  EXPECT_EQ(talk.generate(*engine_, *cache_, prompt, sampler, options).stopped, StopReason::interrupted);
  const size_t done = talk.ids().size();
  EXPECT_GT(done, 0u);
  EXPECT_LT(done, 1500u);
  const GenerateResult rest = talk.generate(*engine_, *cache_, prompt, sampler, {.new_tokens = 5});
  EXPECT_EQ(rest.prompt_tokens, static_cast<int64_t>(1500 - done));
  Sampler fresh({.greedy = true});
  KvCache other(*device_, config_, DType::f32, 1600);
  EXPECT_EQ(rest.ids, generate(*engine_, other, prompt, fresh, {.new_tokens = 5}).ids);
}

TEST_F(CachedSequenceTest, AnEmptyPromptIsBadInput) {
  CachedSequence talk(*cache_);
  Sampler sampler({});
  EXPECT_THROW(talk.generate(*engine_, *cache_, {}, sampler, {}), BadInput);
}

}  // namespace
}  // namespace mfa
