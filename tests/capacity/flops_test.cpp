// What capacity prints against what happens: parameters against tensors, KV bytes against the allocated cache, FLOPs
// against a device that counts each operation of a model that runs. All equalities are exact: whole numbers below 2^53.
#include <gtest/gtest.h>

#include "capacity/capacity.h"
#include "formats/safetensors.h"
#include "kernels/counting_device.h"
#include "model/config_json.h"
#include "model/llama2c.h"
#include "model/model_folder.h"
#include "model/random_model.h"
#include "model/transformer.h"
#include "runtime/engine.h"
#include "runtime/model_session.h"

namespace mfa {
namespace {

// The parts of an exact figure, grouped as the counting device can tell them apart.
OperationCounts grouped(const Flops& f) {
  OperationCounts c;
  c.core = f[FlopPart::core];
  c.softmax = f[FlopPart::softmax];
  c.rotation = f[FlopPart::rotation];
  c.norms = f[FlopPart::norms];
  c.biases = f[FlopPart::biases];
  c.activations = f[FlopPart::activations];
  c.loss = f[FlopPart::loss];
  return c;
}

void expect_counts(const Flops& expected, const OperationCounts& counted, const std::string& what) {
  SCOPED_TRACE(what);
  const OperationCounts parts = grouped(expected);
  EXPECT_EQ(parts.core, counted.core);
  EXPECT_EQ(parts.softmax, counted.softmax);
  EXPECT_EQ(parts.norms, counted.norms);
  EXPECT_EQ(parts.biases, counted.biases);
  EXPECT_EQ(parts.activations, counted.activations);
  EXPECT_EQ(parts.loss, counted.loss);
  EXPECT_EQ(expected.total(), counted.total());
}

struct Sums {
  Flops decode, prefill, absorbed, forward, backward;
};

Sums sums_of(const ModelConfig& config, int64_t context) {
  const CostModel model = cost_model(config);
  const OutsideCost outside = outside_cost(model, context);
  Sums sums{outside.decode, outside.prefill, outside.prefill, outside.train_forward, outside.train_backward};
  for (const CostLayer& layer : model.layers) {
    const LayerCost cost = layer_cost(layer, {.width = model.width, .context = context});
    sums.decode += cost.decode;
    sums.prefill += cost.prefill;
    sums.forward += cost.train_forward;
    sums.backward += cost.train_backward;
    sums.absorbed += layer_cost(layer, {.width = model.width, .context = context, .absorbed_prefill = true}).prefill;
  }
  return sums;
}

void expect_inference(const ModelConfig& config, CountingDevice& device, Engine& engine, int64_t tokens) {
  const Sums sums = sums_of(config, tokens);
  const CapacityRow row = capacity_of(config, "x", {.context = tokens});
  const std::vector<int32_t> ids = test::random_ids(tokens, config.vocab, 3);
  KvCache cache(device, config, DType::f32, 2 * tokens + 64);
  Sequence whole(cache), grown(cache);
  StepItem prompt{&whole, ids, Wanted::last_logits, {}, {}};
  device.reset();
  engine.step(cache, {&prompt, 1});
  expect_counts(sums.absorbed, device.counts(), "prompt");
  const bool latent = row.flops_per_token_prefill_absorbed > 0;
  EXPECT_EQ(latent ? row.flops_per_token_prefill_absorbed : row.flops_per_token_prefill,
            device.counts().total() / static_cast<double>(tokens));

  StepItem before{&grown, std::span(ids).first(static_cast<size_t>(tokens) - 1), Wanted::nothing, {}, {}};
  if (tokens > 1) engine.step(cache, {&before, 1});
  StepItem last{&grown, std::span(ids).last(1), Wanted::last_logits, {}, {}};
  device.reset();
  engine.step(cache, {&last, 1});
  expect_counts(sums.decode, device.counts(), "decode");
  EXPECT_EQ(row.flops_per_token_decode, device.counts().total());
  // Weights that a decoded token reads, without padding on the plain device.
  EXPECT_EQ(row.matrix_numbers * 4, static_cast<int64_t>(engine.weight_bytes()));
}

void expect_training(const ModelConfig& config, CountingDevice& device, ParameterStore& weights, int64_t tokens) {
  const Sums sums = sums_of(config, tokens);
  constexpr int64_t kSequences = 2;
  ParameterStore gradients(device, config);
  Transformer model(weights, &gradients, config, kSequences, tokens);
  const std::vector<int32_t> ids = test::random_ids(kSequences * tokens, config.vocab, 5);
  device.reset();
  model.loss({ids, ids, {}});
  expect_counts(sums.forward * kSequences, device.counts(), "forward");
  device.reset();
  model.loss_and_gradients({ids, ids, {}}, 1);
  Flops both = sums.forward;
  both += sums.backward;
  expect_counts(both * kSequences, device.counts(), "forward and backward");
  const CapacityRow row = capacity_of(config, "x", {.context = tokens});
  EXPECT_EQ(row.flops_per_token_train_exact, device.counts().total() / kSequences / static_cast<double>(tokens));
}

void expect_cache(const ModelConfig& config) {
  const std::unique_ptr<Device> device = make_cpu_device();
  for (const DType type : {DType::f32, DType::bf16, DType::i8}) {
    const int64_t bytes = capacity_of(config, "x", {.context = 192, .kv_type = type}).kv_bytes_per_token;
    const KvCache cache(*device, config, type, 192);
    EXPECT_EQ(bytes, cache.bytes_per_token());
    EXPECT_EQ(capacity_of(config, "x", {.context = 192, .kv_type = type}).kv_bytes_context,
              static_cast<int64_t>(cache.bytes()));
  }
}

// Everything at once, of a model whose weights are made here.
void expect_all(const ModelConfig& config, int64_t prompt, int64_t sequence) {
  CountingDevice device(make_reference_device());
  ParameterStore weights(device, config);
  test::randomise(weights, 7, 0.2);
  EXPECT_EQ(capacity_of(config, "x").parameters, weights.size());
  expect_cache(config);
  Engine engine(device, config, weights, {.positions = prompt});
  expect_inference(config, device, engine, prompt);
  expect_training(config, device, weights, sequence);
}

class FlopsTest : public testing::TestWithParam<test::ModelCase> {};

// 270 tokens: more than one block of a prompt, and more than one page.
TEST_P(FlopsTest, ArePrintedAsTheyAreCounted) {
  const test::ModelCase& c = GetParam();
  expect_all(make_preset(c.preset, c.options), 270, 13);
}

TEST_P(FlopsTest, OfWindowsAndSharedCachesToo) {
  const test::ModelCase& c = GetParam();
  PresetOptions o = c.options;
  o.layers = 3;
  o.share_cache = 2;
  o.window = 5;
  expect_all(make_preset(c.preset, o), 262, 11);
  o.norm = ModelNorm::layer;
  o.tied = false;
  o.ffn_bias = true;
  expect_all(make_preset(c.preset, o), 3, 1);
}

INSTANTIATE_TEST_SUITE_P(AllVariants, FlopsTest, testing::ValuesIn(test::model_cases()),
                         [](const testing::TestParamInfo<test::ModelCase>& param) { return param.param.name; });

// The presets at the shapes that people get without a flag.
TEST(Flops, OfThePresetsAsTheyCome) {
  for (const std::string_view preset : preset_names()) {
    SCOPED_TRACE(preset);
    PresetOptions o;
    o.width = preset == "fpba" ? 16 : 64;
    o.layers = 2;
    o.vocab = 50;
    o.context = 32;
    expect_all(make_preset(preset, o), 32, 32);
  }
}

// Layers of converted models differ from each other.
TEST(Flops, OfMixedLayers) {
  PresetOptions o;
  o.width = 32;
  o.vocab = 20;
  o.context = 16;
  ModelConfig config = make_preset("mha", o);
  config.layers[1] = make_preset("mfa-kr", o).layers[0];
  config.layers[2] = make_preset("mla", o).layers[0];
  config.layers[2].ffn = 40;
  config.layers[3] = make_preset("gqa", o).layers[0];
  config.layers[3].window = 4;
  expect_all(config, 16, 9);
}

class FolderTest : public testing::TestWithParam<std::string> {};

int64_t numbers_in_files(const fs::path& folder) {
  const SafetensorsReader file(folder / "model.safetensors");
  int64_t sum = 0;
  for (const auto& [name, tensor] : file.tensors())
    if (name.find("rotary_emb") == std::string::npos) sum += tensor.size();
  return sum;
}

TEST_P(FolderTest, CountsWhatIsInTheFilesAndWhatRuns) {
  const fs::path folder = fs::path(MFA_FIXTURES) / "architectures" / GetParam();
  const ModelConfig config = load_config(folder);
  EXPECT_EQ(capacity_of(config, "x").parameters, numbers_in_files(folder));
  CountingDevice device(make_reference_device());
  ModelSession session = open_model(device, folder, {.positions = 48});
  expect_inference(config, device, *session.engine, 48);
  expect_all(config, 20, 20);
}

INSTANTIATE_TEST_SUITE_P(Architectures, FolderTest,
                         testing::Values("deepseek_v2", "deepseek_v2_yarn", "deepseek_v3_halves", "deepseek_v3_yarn",
                                         "llama", "llama3_rope", "llama_bias", "mistral_window", "qwen2", "qwen2_yarn",
                                         "qwen3", "step3"));

TEST(Flops, OfStories260KAreThoseOfItsFile) {
  const fs::path file = fs::path(MFA_SHARED) / "data" / "models" / "stories260K" / "stories260K.bin";
  if (!path_exists(file)) GTEST_SKIP() << file << " is not here";
  const Llama2cWeights weights(file);
  EXPECT_EQ(capacity_of(weights.config(), "x").parameters, 260032);
  expect_all(weights.config(), 300, 64);
}

}  // namespace
}  // namespace mfa
