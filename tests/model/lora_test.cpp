// Adapters: their gradients against central differences in double, what they leave alone, and their files.
#include "model/lora.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>

#include "base/error.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "model/lora_folder.h"
#include "model/random_model.h"
#include "model/transformer.h"

namespace mfa {
namespace {

using test::ModelCase;

constexpr int64_t kSequences = 2, kTokens = 6;

struct Problem {
  std::vector<int32_t> ids, targets, doc_start;
  explicit Problem(int64_t vocab)
      : ids(test::random_ids(kSequences * kTokens, vocab, 1)),
        targets(test::random_ids(kSequences * kTokens, vocab, 2)),
        doc_start({0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 3, 3}) {
    targets[3] = -1;
  }
  TokenBatch batch() const { return {ids, targets, doc_start}; }
};

double norm(const std::vector<double>& x) {
  double sum = 0;
  for (const double v : x) sum += v * v;
  return std::sqrt(sum);
}

class LoraGradientTest : public testing::TestWithParam<ModelCase> {};

TEST_P(LoraGradientTest, AgreesWithCentralDifferences) {
  const ModelConfig config = make_preset(GetParam().preset, GetParam().options);
  const std::unique_ptr<Device> device = make_reference_device(DType::f64);
  ParameterStore weights(*device, config), vectors(*device, vectors_of(config));
  test::randomise(weights, 7);
  Lora lora(*device, config, {.rank = 2, .alpha = 3, .targets = {}});
  test::randomise(lora.weights, 8);  // B too: at B = 0 the gradient of A is zero, and a wrong one would pass
  Transformer model(weights, &vectors, config, kSequences, kTokens, &lora);
  const Problem problem(config.vocab);
  constexpr double kScale = 0.1;
  const std::vector<double> before = download_numbers(*device, weights.flat());
  model.loss_and_gradients(problem.batch(), kScale);
  EXPECT_EQ(download_numbers(*device, weights.flat()), before);

  // As for whole models (gradient_test.cpp): h² and 1e-16 · loss / h are about 1e-10 each.
  constexpr double h = 1e-5, kFloor = 1e-9;
  for (const ParameterSpec& spec : lora.weights.table()) {
    const std::vector<double> values = lora.weights.download_f64(spec), analytic = lora.gradients.download_f64(spec);
    std::vector<double> numeric(values.size()), difference(values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      std::vector<double> moved = values;
      moved[i] = values[i] + h;
      lora.weights.upload_f64(spec, moved);
      const double up = model.loss(problem.batch());
      moved[i] = values[i] - h;
      lora.weights.upload_f64(spec, moved);
      numeric[i] = kScale * (up - model.loss(problem.batch())) / (2 * h);
      difference[i] = numeric[i] - analytic[i];
    }
    lora.weights.upload_f64(spec, values);
    EXPECT_LE(norm(difference), 1e-6 * (norm(analytic) + norm(numeric)) + kFloor) << spec.name;
    EXPECT_GT(norm(analytic), 0) << spec.name;
  }
}

TEST_P(LoraGradientTest, MergedWeightsComputeTheSame) {
  const ModelConfig config = make_preset(GetParam().preset, GetParam().options);
  const std::unique_ptr<Device> device = make_reference_device(DType::f64);
  ParameterStore weights(*device, config);
  test::randomise(weights, 7);
  Lora lora(*device, config, {.rank = 2, .alpha = 3, .targets = {}});
  test::randomise(lora.weights, 8);
  const Problem problem(config.vocab);
  Transformer adapted(weights, nullptr, config, kSequences, kTokens, &lora);
  const double with_adapters = adapted.loss(problem.batch());
  Transformer plain(weights, nullptr, config, kSequences, kTokens);
  EXPECT_GT(std::abs(plain.loss(problem.batch()) - with_adapters), 1e-6);
  merge(lora, weights);
  // The same sums in another order, in double, over a dozen layers' products: 1e-16 grows to no more than 1e-12.
  EXPECT_NEAR(plain.loss(problem.batch()), with_adapters, 1e-11 * std::abs(with_adapters));
}

INSTANTIATE_TEST_SUITE_P(AllVariants, LoraGradientTest, testing::ValuesIn(test::model_cases()),
                         [](const testing::TestParamInfo<ModelCase>& param) { return param.param.name; });

ModelConfig small_model() {
  const ModelCase first = test::model_cases()[0];
  return make_preset(first.preset, first.options);
}

TEST(LoraTest, StartsAsTheModelItself) {
  const ModelConfig config = small_model();
  const std::unique_ptr<Device> device = make_reference_device(DType::f64);
  ParameterStore weights(*device, config);
  test::randomise(weights, 7);
  Lora lora(*device, config, {.rank = 2, .alpha = 4, .targets = {}});
  initialise(lora, 1);
  const Problem problem(config.vocab);
  Transformer adapted(weights, nullptr, config, kSequences, kTokens, &lora);
  Transformer plain(weights, nullptr, config, kSequences, kTokens);
  EXPECT_EQ(adapted.logits(problem.batch()), plain.logits(problem.batch()));
  EXPECT_GT(device->sum_of_squares(lora.weights.flat()), 0);
}

TEST(LoraTest, TargetsChooseModules) {
  const ModelConfig config = small_model();
  const std::vector<ParameterSpec> table =
      lora_table(config, {.rank = 3, .alpha = 6, .targets = {"q_proj", "down_proj"}});
  ASSERT_EQ(table.size(), static_cast<size_t>(config.n_layers()) * 4);
  EXPECT_EQ(table[0].name, "model.layers.0.self_attn.q_proj.lora_A.weight");
  EXPECT_EQ(table[0].rows, 3);
  EXPECT_EQ(table[0].cols, config.width);
  EXPECT_EQ(table[3].name, "model.layers.0.mlp.down_proj.lora_B.weight");
  EXPECT_EQ(table[3].rows, config.width);
  EXPECT_EQ(table[3].cols, 3);
}

TEST(LoraTest, NonsenseIsRefused) {
  const ModelConfig config = small_model();
  EXPECT_THROW(lora_table(config, {.rank = 0, .alpha = 1, .targets = {}}), BadInput);
  EXPECT_THROW(lora_table(config, {.rank = 1000, .alpha = 1, .targets = {}}), BadInput);
  EXPECT_THROW(lora_table(config, {.rank = 2, .alpha = NAN, .targets = {}}), BadInput);
  EXPECT_THROW(lora_table(config, {.rank = 2, .alpha = 1, .targets = {"query"}}), BadInput);
}

class LoraFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("mfa-lora-" + std::to_string(::getpid()));
    make_folder(folder_);
    device_ = make_reference_device(DType::f32);
    config_ = small_model();
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const LoraSpec& spec) {
    Lora lora(*device_, config_, spec);
    test::randomise(lora.weights, 5);
    write_adapter_weights(folder_, lora, config_, false);
    write_adapter_config(folder_, spec, config_, "some/model");
    written_ = download_numbers(*device_, lora.weights.flat());
  }
  // Changes one member of adapter_config.json and returns what loading then says.
  std::string error_with(const std::string& key, const Json& value) {
    Json json = parse_json(read_file(folder_ / kAdapterConfig), "config");
    json[key] = value;
    write_file(folder_ / kAdapterConfig, json.dump());
    try {
      load_adapter(*device_, config_, folder_, false);
    } catch (const BadInput& error) {
      return error.what();
    }
    return "";
  }

  fs::path folder_;
  std::unique_ptr<Device> device_;
  ModelConfig config_;
  std::vector<double> written_;
};

TEST_F(LoraFolderTest, ComesBackAsItWasWritten) {
  write({.rank = 2, .alpha = 5, .targets = {"q_proj", "v_proj"}});
  const Lora back = load_adapter(*device_, config_, folder_, false);
  EXPECT_EQ(back.spec, (LoraSpec{.rank = 2, .alpha = 5, .targets = {"q_proj", "v_proj"}}));
  EXPECT_EQ(download_numbers(*device_, back.weights.flat()), written_);
  const SafetensorsReader reader(folder_ / kAdapterWeights);
  EXPECT_TRUE(reader.has("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"));
}

// Beside a DeepSeek checkpoint in its own order, rotary rows of B stand as those of W do: what is rows 0, 1, 2, 3 of a
// rotary part of 4 for us is rows 0, 2, 1, 3 there, since it turns (2i, 2i + 1) where we turn (i, i + 2).
TEST_F(LoraFolderTest, DeepSeeksOrderOfRotaryRowsIsKeptOnDisk) {
  PresetOptions options = test::model_cases()[0].options;
  options.rope_dim = 4;
  config_ = make_preset("mla", options);
  const LoraSpec spec{.rank = 2, .alpha = 4, .targets = {"kv_a_proj_with_mqa"}};
  Lora lora(*device_, config_, spec);
  test::randomise(lora.weights, 5);
  write_adapter_weights(folder_, lora, config_, true);
  write_adapter_config(folder_, spec, config_, "some/model");
  const std::string name = "model.layers.0.self_attn.kv_a_proj_with_mqa.lora_B.weight";
  const std::vector<float> ours = lora.weights.download(lora.weights.spec(name));
  const int64_t rows = lora.weights.spec(name).rows, latent = rows - 4;
  const std::vector<int64_t> shape = {rows, 2};
  std::vector<float> theirs(ours.size());
  to_f32(SafetensorsReader(folder_ / kAdapterWeights).get("base_model.model." + name, shape), theirs);
  for (const auto& [at, from] : std::vector<std::pair<int64_t, int64_t>>{{0, 0}, {1, 2}, {2, 1}, {3, 3}})
    EXPECT_EQ(theirs[static_cast<size_t>(2 * (latent + at))], ours[static_cast<size_t>(2 * (latent + from))]) << at;
  EXPECT_EQ(theirs[0], ours[0]);
  const Lora back = load_adapter(*device_, config_, folder_, true);
  EXPECT_EQ(download_numbers(*device_, back.weights.flat()), download_numbers(*device_, lora.weights.flat()));
}

TEST_F(LoraFolderTest, AllLinearNamesEveryModule) {
  write({.rank = 2, .alpha = 4, .targets = {}});
  const Lora back = load_adapter(*device_, config_, folder_, false);
  EXPECT_EQ(download_numbers(*device_, back.weights.flat()), written_);
}

TEST_F(LoraFolderTest, WhatWeLackIsRefusedByName) {
  const LoraSpec spec{.rank = 2, .alpha = 4, .targets = {}};
  for (const auto& [key, value] : std::vector<std::pair<std::string, Json>>{{"peft_type", "IA3"},
                                                                            {"use_dora", true},
                                                                            {"bias", "all"},
                                                                            {"modules_to_save", {"lm_head"}},
                                                                            {"rank_pattern", {{"q_proj", 4}}},
                                                                            {"target_modules", {"query"}},
                                                                            {"target_modules", 7},
                                                                            {"r", 0},
                                                                            {"r", 4},
                                                                            {"lora_alpha", -1}}) {
    write(spec);
    EXPECT_NE(error_with(key, value), "") << key;
  }
  write(spec);
  EXPECT_NE(error_with("use_dora", true).find("use_dora"), std::string::npos);
}

TEST_F(LoraFolderTest, RankStabilisedScalesByTheRoot) {
  write({.rank = 4, .alpha = 8, .targets = {}});
  Json json = parse_json(read_file(folder_ / kAdapterConfig), "config");
  json["use_rslora"] = true;
  write_file(folder_ / kAdapterConfig, json.dump());
  EXPECT_DOUBLE_EQ(load_adapter(*device_, config_, folder_, false).spec.scale(), 8 / std::sqrt(4.0));
}

}  // namespace
}  // namespace mfa
