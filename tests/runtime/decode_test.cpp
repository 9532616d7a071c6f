// Inference against the whole-sequence forward pass, and what the cache takes.
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "kernels/guarded_device.h"
#include "model/random_model.h"
#include "model/transformer.h"
#include "runtime/engine.h"

namespace mfa {
namespace {

using test::ModelCase;

constexpr int64_t kTokens = 150;  // crosses two page edges, at 64 and 128

struct ModelFixture {
  explicit ModelFixture(const ModelCase& c, Device& device) : config(make(c)), weights(device, config) {
    test::randomise(weights, 5, 0.2);
    ids = test::random_ids(kTokens, config.vocab, 4);
  }
  static ModelConfig make(const ModelCase& c) {
    PresetOptions o = c.options;
    o.context = kTokens;
    return make_preset(c.preset, o);
  }
  ModelConfig config;
  ParameterStore weights;
  std::vector<int32_t> ids;
};

// f32 rounding of a few layers: each sum of n terms is off by about sqrt(n)·6e-8, far below 1e-4 of the largest logit.
void expect_close(const std::vector<double>& expected, const std::vector<float>& actual, int64_t row, int64_t vocab) {
  double largest = 0, worst = 0;
  for (const double x : expected) largest = std::max(largest, std::abs(x));
  for (int64_t j = 0; j < vocab; ++j)
    worst = std::max(worst, std::abs(expected[row * vocab + j] - static_cast<double>(actual[j])));
  EXPECT_LE(worst, 1e-4 * largest) << "row " << row;
}

class DecodeTest : public testing::TestWithParam<ModelCase> {};

TEST_P(DecodeTest, PrefillThenTokensGiveTheForwardPass) {
  const std::unique_ptr<Device> device = make_cpu_device();
  device->set_precision(Precision::f32);
  ModelFixture s(GetParam(), *device);
  Transformer model(s.weights, nullptr, s.config, 1, kTokens);
  const std::vector<double> expected = model.logits({s.ids, {}, {}});
  Engine engine(*device, s.config, s.weights, {.rows = 48});
  KvCache cache(*device, s.config, DType::f32, kTokens);
  Sequence sequence(cache);
  constexpr int64_t kPrompt = 61;  // then token by token over both edges
  StepItem prompt{&sequence, std::span(s.ids).first(kPrompt), Wanted::all_logits, {}, {}};
  engine.step(cache, {&prompt, 1});
  const int64_t vocab = s.config.vocab;
  for (int64_t row = 0; row < kPrompt; ++row)
    expect_close(expected, {prompt.result.begin() + row * vocab, prompt.result.begin() + (row + 1) * vocab}, row,
                 vocab);
  for (int64_t t = kPrompt; t < kTokens; ++t) {
    StepItem next{&sequence, std::span(s.ids).subspan(t, 1), Wanted::last_logits, {}, {}};
    engine.step(cache, {&next, 1});
    expect_close(expected, next.result, t, vocab);
  }
}

TEST_P(DecodeTest, AllocatedBytesAreTheFormula) {
  const std::unique_ptr<Device> device = make_cpu_device();
  const ModelConfig config = ModelFixture::make(GetParam());
  for (const DType type : {DType::f32, DType::bf16, DType::i8}) {
    constexpr int64_t kPages = 3;
    const KvCache cache(*device, config, type, kPages * 64);
    EXPECT_EQ(cache.bytes_per_token(), kv_bytes_per_token(config, type));
    EXPECT_EQ(static_cast<int64_t>(cache.bytes()), kv_bytes_per_token(config, type) * kPages * 64);
  }
}

INSTANTIATE_TEST_SUITE_P(AllVariants, DecodeTest, testing::ValuesIn(test::model_cases()),
                         [](const testing::TestParamInfo<ModelCase>& param) { return param.param.name; });

TEST(EngineTest, ASequenceIsBitwiseTheSameAloneAndInCompanyAndHoweverItIsCut) {
  const std::unique_ptr<Device> device = make_cpu_device();
  for (const ModelCase& c : test::model_cases()) {
    ModelFixture s(c, *device);
    Engine engine(*device, s.config, s.weights, {});
    KvCache cache(*device, s.config, DType::bf16, 64 * 40);
    Sequence alone(cache);
    StepItem whole{&alone, s.ids, Wanted::last_logits, {}, {}};
    engine.step(cache, {&whole, 1});
    Random random(11);
    for (int trial = 0; trial < 4; ++trial) {
      Sequence cut(cache), other(cache);
      const std::vector<int32_t> noise = test::random_ids(40, s.config.vocab, 50 + static_cast<uint64_t>(trial));
      std::vector<float> last;
      for (int64_t begin = 0; begin < kTokens;) {
        const int64_t count = std::min<int64_t>(kTokens - begin, 1 + static_cast<int64_t>(random.below(50)));
        StepItem items[2] = {{&other, std::span(noise).first(begin == 0 ? 40 : 1), Wanted::last_logits, {}, {}},
                             {&cut, std::span(s.ids).subspan(begin, count), Wanted::last_logits, {}, {}}};
        engine.step(cache, items);
        last = items[1].result;
        begin += count;
      }
      EXPECT_EQ(last, whole.result) << c.name << " trial " << trial;
    }
  }
}

// A token leaves each number as a byte, and a scale of two bytes for each 64 numbers (or fewer) of a vector; written
// out by hand here. mha keeps heads · 2 vectors, mfa 2, mfa-kr 1, mla one of rank + rotary numbers.
TEST(KvCacheTest, Int8BytesAreNumbersAndScales) {
  const std::unique_ptr<Device> device = make_cpu_device();
  PresetOptions o;
  o.width = 64, o.layers = 3, o.vocab = 11, o.context = 128, o.heads = 2, o.ffn = 16;
  for (const auto& [dim, vector] :
       {std::pair<int64_t, int64_t>{8, 8 + 2}, {64, 64 + 2}, {66, 66 + 4}, {256, 256 + 8}}) {
    o.head_dim = dim;
    for (const auto& [preset, vectors] : {std::pair<const char*, int64_t>{"mha", 4}, {"mfa", 2}, {"mfa-kr", 1}}) {
      const KvCache cache(*device, make_preset(preset, o), DType::i8, 130);
      EXPECT_EQ(cache.bytes_per_token(), 3 * vectors * vector) << preset << " " << dim;
      EXPECT_EQ(static_cast<int64_t>(cache.bytes()), 3 * vectors * vector * 3 * 64) << preset << " " << dim;
    }
  }
  o.head_dim = 32, o.kv_rank = 96, o.rope_dim = 16;
  const KvCache latent(*device, make_preset("mla", o), DType::i8, 64);
  EXPECT_EQ(static_cast<int64_t>(latent.bytes()), 3 * (96 + 16 + 2 * 2) * 64);
}

// The layers above kernels/ never look into tensor memory: on this device they would die.
TEST(EngineTest, RunsOnAGuardedDevice) {
  for (const char* name : {"mfa_kr_rope", "mla_rope", "mha_rope"}) {
    const auto guarded = std::make_unique<GuardedDevice>(make_cpu_device());
    for (const ModelCase& c : test::model_cases()) {
      if (c.name != name) continue;
      ModelFixture s(c, *guarded);
      Engine engine(*guarded, s.config, s.weights, {});
      KvCache cache(*guarded, s.config, DType::f32, kTokens);
      Sequence sequence(cache);
      StepItem item{&sequence, s.ids, Wanted::last_logits, {}, {}};
      engine.step(cache, {&item, 1});
      EXPECT_EQ(static_cast<int64_t>(item.result.size()), s.config.vocab);
    }
  }
}

TEST(EngineTest, RefusesIdsOutsideTheVocabularyAndTooLongSequences) {
  const std::unique_ptr<Device> device = make_cpu_device();
  ModelFixture s(test::model_cases()[0], *device);
  Engine engine(*device, s.config, s.weights, {});
  KvCache cache(*device, s.config, DType::f32, 2 * kTokens);
  Sequence sequence(cache);
  const std::vector<int32_t> bad = {0, static_cast<int32_t>(s.config.vocab)};
  StepItem item{&sequence, bad, Wanted::nothing, {}, {}};
  EXPECT_THROW(engine.step(cache, {&item, 1}), BadInput);
  const std::vector<int32_t> many = test::random_ids(kTokens + 1, s.config.vocab, 1);
  StepItem longer{&sequence, many, Wanted::nothing, {}, {}};
  EXPECT_THROW(engine.step(cache, {&longer, 1}), BadInput);
}

}  // namespace
}  // namespace mfa
