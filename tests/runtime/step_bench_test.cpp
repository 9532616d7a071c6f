#include "runtime/step_bench.h"

#include "base/error.h"
#include "model/init.h"
#include "model/presets.h"

namespace mfa {
namespace {

ModelConfig small(const char* preset, int64_t window = 0) {
  PresetOptions o;
  o.width = 64;
  o.layers = 2;
  o.vocab = 100;
  o.context = 300;
  o.window = window;
  return make_preset(preset, o);
}

TEST(StepBench, ReadsTheWeightsOnceAndEachSequencesCache) {
  const std::unique_ptr<Device> device = make_cpu_device();
  for (const char* preset : {"mha", "mla", "mfa", "mfa-kr", "fpba"}) {
    const ModelConfig config = small(preset);
    RandomWeights weights(*device, config);
    Engine engine(*device, config, weights, {.weights = DType::bf16, .positions = 300});
    const StepBenchRow row = bench_step(*device, engine, {.context = 300, .batch = 3, .kv_type = DType::bf16}, 0.01);
    EXPECT_GT(row.seconds, 0) << preset;
    EXPECT_GE(row.steps, 11) << preset;
    EXPECT_EQ(row.tokens, 3) << preset;
    EXPECT_EQ(row.weight_bytes, static_cast<double>(engine.weight_bytes())) << preset;
    EXPECT_EQ(row.kv_bytes, static_cast<double>(3 * 300 * kv_bytes_per_token(config, DType::bf16))) << preset;
  }
}

TEST(StepBench, CountsOnlyWhatAWindowSees) {
  const std::unique_ptr<Device> device = make_cpu_device();
  const ModelConfig config = small("gqa", 50);
  RandomWeights weights(*device, config);
  Engine engine(*device, config, weights, {.positions = 300});
  const StepBenchRow row = bench_step(*device, engine, {.context = 300, .kv_type = DType::f32}, 0.01);
  EXPECT_EQ(row.kv_bytes, static_cast<double>(50 * kv_bytes_per_token(config, DType::f32)));
  EXPECT_THROW(bench_step(*device, engine, {.context = 301}, 0.01), BadInput);
  EXPECT_THROW(bench_step(*device, engine, {.context = 1, .batch = 0}, 0.01), BadInput);
  EXPECT_THROW(bench_step(*device, engine, {.context = 1, .new_tokens = 2}, 0.01), BadInput);
  EXPECT_THROW(bench_step(*device, engine, {.context = 1, .new_tokens = 0}, 0.01), BadInput);
  EXPECT_NO_THROW(bench_step(*device, engine, {.context = 1, .kv_type = DType::f32}, 0.01));  // an empty cache
}

TEST(StepBench, CountsAllTokensOfPrompts) {
  const std::unique_ptr<Device> device = make_cpu_device();
  const ModelConfig config = small("mfa");
  RandomWeights weights(*device, config);
  Engine engine(*device, config, weights, {.positions = 300});
  const auto seconds = [&](int64_t tokens) {
    const StepBenchRow row =
        bench_step(*device, engine, {.context = 300, .batch = 2, .new_tokens = tokens, .kv_type = DType::f32}, 0.01);
    EXPECT_EQ(row.tokens, static_cast<double>(2 * tokens));
    return row.seconds;
  };
  EXPECT_GT(seconds(300), 3 * seconds(3));  // it computes them
}

// What training starts from, whether the parameters are made at once or a part at a time.
TEST(RandomWeights, AreThoseOfInitialise) {
  const std::unique_ptr<Device> device = make_reference_device();
  const ModelConfig config = small("mfa-kr");
  ParameterStore whole(*device, config);
  initialise(whole, config, {});
  RandomWeights parts(*device, config);
  const std::string name = "model.layers.1.self_attn.wq.weight";
  const ParameterStore& part = parts.part([](const ParameterSpec& spec) { return spec.layer == 1; });
  EXPECT_EQ(part.download(part.spec(name)), whole.download(whole.spec(name)));
  EXPECT_FALSE(part.has("model.layers.0.self_attn.wq.weight"));
}

}  // namespace
}  // namespace mfa
