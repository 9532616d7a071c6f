// Analytic gradients of whole models against central differences, in double.
#include <gtest/gtest.h>

#include <cmath>

#include "model/random_model.h"
#include "model/transformer.h"

namespace mfa {
namespace {

using test::ModelCase;

class GradientTest : public testing::TestWithParam<ModelCase> {};

double norm(const std::vector<double>& x) {
  double sum = 0;
  for (const double v : x) sum += v * v;
  return std::sqrt(sum);
}

TEST_P(GradientTest, AgreesWithCentralDifferences) {
  const ModelConfig config = make_preset(GetParam().preset, GetParam().options);
  const std::unique_ptr<Device> device = make_reference_device(DType::f64);
  ParameterStore weights(*device, config), gradients(*device, config);
  test::randomise(weights, 7);
  constexpr int64_t kSequences = 2, kTokens = 6;
  Transformer model(weights, &gradients, config, kSequences, kTokens);
  const std::vector<int32_t> ids = test::random_ids(kSequences * kTokens, config.vocab, 1);
  std::vector<int32_t> targets = test::random_ids(kSequences * kTokens, config.vocab, 2);
  targets[3] = -1;
  // The second sequence holds two documents.
  const std::vector<int32_t> doc_start = {0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 3, 3};
  const TokenBatch batch{ids, targets, doc_start};
  constexpr double kScale = 0.1;
  model.loss_and_gradients(batch, kScale);

  // The error of a central difference is O(h²) of the loss's third derivative, plus 1e-16 · loss / h of rounding:
  // about 1e-10 each at h = 1e-5. The floor is for tensors whose gradient is zero by symmetry.
  constexpr double h = 1e-5, kFloor = 1e-9;
  for (const ParameterSpec& spec : weights.table()) {
    const std::vector<double> values = weights.download_f64(spec), analytic = gradients.download_f64(spec);
    std::vector<double> numeric(values.size()), difference(values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      std::vector<double> moved = values;
      moved[i] = values[i] + h;
      weights.upload_f64(spec, moved);
      const double up = model.loss(batch);
      moved[i] = values[i] - h;
      weights.upload_f64(spec, moved);
      numeric[i] = kScale * (up - model.loss(batch)) / (2 * h);
      difference[i] = numeric[i] - analytic[i];
    }
    weights.upload_f64(spec, values);
    EXPECT_LE(norm(difference), 1e-6 * (norm(analytic) + norm(numeric)) + kFloor) << spec.name;
    EXPECT_GT(norm(analytic), 0) << spec.name;
  }
}

INSTANTIATE_TEST_SUITE_P(AllVariants, GradientTest, testing::ValuesIn(test::model_cases()),
                         [](const testing::TestParamInfo<ModelCase>& param) { return param.param.name; });

TEST(GateTest, AtZeroTheMixHasNoGradientAndTheGateHas) {
  PresetOptions options = test::model_cases()[0].options;
  const ModelConfig config = make_preset("mfa-kr", options);
  const std::unique_ptr<Device> device = make_reference_device(DType::f64);
  ParameterStore weights(*device, config), gradients(*device, config);
  test::randomise(weights, 3);
  for (const ParameterSpec& spec : weights.table())
    if (spec.name.ends_with("value_gate"))
      weights.upload_f64(spec, std::vector<double>(static_cast<size_t>(spec.size()), 0.0));
  Transformer model(weights, &gradients, config, 1, 8);
  const std::vector<int32_t> ids = test::random_ids(8, config.vocab, 1), targets = test::random_ids(8, config.vocab, 2);
  model.loss_and_gradients({ids, targets, {}}, 1);
  int mixes = 0;
  for (const ParameterSpec& spec : weights.table()) {
    if (spec.name.ends_with("value_mix.weight")) {
      EXPECT_EQ(norm(gradients.download_f64(spec)), 0.0) << spec.name;
      ++mixes;
    }
    if (spec.name.ends_with("value_gate")) {
      EXPECT_GT(norm(gradients.download_f64(spec)), 1e-6) << spec.name;
    }
  }
  EXPECT_EQ(mixes, config.n_layers());
}

TEST(GateTest, AtZeroTheValueIsTheKey) {
  PresetOptions options = test::model_cases()[0].options;
  const ModelConfig gated = make_preset("mfa-kr", options);
  options.reuse = KeyReuse::identity;
  const ModelConfig identity = make_preset("mfa-kr", options);
  const std::unique_ptr<Device> device = make_reference_device(DType::f64);
  ParameterStore a(*device, gated), b(*device, identity);
  test::randomise(a, 3);
  for (const ParameterSpec& spec : a.table()) {
    if (spec.name.ends_with("value_gate"))
      a.upload_f64(spec, std::vector<double>(static_cast<size_t>(spec.size()), 0.0));
    if (b.has(spec.name)) b.upload_f64(b.spec(spec.name), a.download_f64(spec));
  }
  const std::vector<int32_t> ids = test::random_ids(8, gated.vocab, 1);
  Transformer left(a, nullptr, gated, 1, 8), right(b, nullptr, identity, 1, 8);
  EXPECT_EQ(left.logits({ids, {}, {}}), right.logits({ids, {}, {}}));
}

}  // namespace
}  // namespace mfa
