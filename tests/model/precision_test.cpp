// bf16 products against f32 ones, over whole models.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/guarded_device.h"
#include "model/random_model.h"
#include "model/transformer.h"

namespace mfa {
namespace {

using test::ModelCase;

struct Step {
  double loss;
  std::vector<double> gradients;
};

Step run(Device& device, const ModelConfig& config) {
  ParameterStore weights(device, config), gradients(device, config);
  initialise(weights, config, {.gate = GateInit::normal, .seed = 3});
  constexpr int64_t kSequences = 2, kTokens = 32;
  Transformer model(weights, &gradients, config, kSequences, kTokens);
  const std::vector<int32_t> ids = test::random_ids(kSequences * kTokens, config.vocab, 1);
  const std::vector<int32_t> targets = test::random_ids(kSequences * kTokens, config.vocab, 2);
  const double loss = model.loss_and_gradients({ids, targets, {}}, 1.0 / (kSequences * kTokens));
  return {loss / (kSequences * kTokens), download_numbers(device, gradients.flat())};
}

class PrecisionTest : public testing::TestWithParam<std::string> {};

// Rounding an operand to bf16 (8 significant bits) is off by up to 2^-8 of it, 0.17 % in the root of the mean square;
// a product of two by 0.24 %. The sums are in f32 and add nothing to speak of. A gradient passes through at most about
// 12 products a layer, forward and back, in 4 layers: √48 · 0.24 % = 1.65 % when the errors are independent. The bound
// is twice that, and for the loss, which is a mean over tokens of a function with slope ≤ 1 in the logits, a tenth of
// it.
TEST_P(PrecisionTest, Bf16StaysWithinTheBound) {
  constexpr double kGradientBound = 0.033, kLossBound = 0.0033;
  PresetOptions options;
  options.width = 64;
  options.layers = 4;
  options.vocab = 50;
  options.context = 32;
  if (GetParam() == "fpba") options.width = 16;
  const ModelConfig config = make_preset(GetParam(), options);
  const std::unique_ptr<Device> device = make_cpu_device();
  device->set_precision(Precision::f32);
  const Step exact = run(*device, config);
  device->set_precision(Precision::bf16);
  const Step rounded = run(*device, config);
  EXPECT_LE(std::abs(rounded.loss - exact.loss), kLossBound * exact.loss);
  double difference = 0, size = 0;
  for (size_t i = 0; i < exact.gradients.size(); ++i) {
    difference += (rounded.gradients[i] - exact.gradients[i]) * (rounded.gradients[i] - exact.gradients[i]);
    size += exact.gradients[i] * exact.gradients[i];
  }
  EXPECT_LE(std::sqrt(difference / size), kGradientBound);
  EXPECT_GT(difference, 0) << "bf16 products must differ from f32 ones";
}

INSTANTIATE_TEST_SUITE_P(Presets, PrecisionTest, testing::Values("mha", "mqa", "gqa", "mla", "mfa", "mfa-kr", "fpba"),
                         [](const testing::TestParamInfo<std::string>& param) {
                           std::string name = param.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// model/ and train/ never look into tensor memory: on this device they would die.
TEST(GuardedModelTest, EveryVariantTrainsOnMemoryThatOnlyOperationsMayRead) {
  for (const ModelCase& c : test::model_cases()) {
    const ModelConfig config = make_preset(c.preset, c.options);
    const auto loss = [&](Device& device, Precision precision) {
      device.set_precision(precision);
      ParameterStore weights(device, config), gradients(device, config);
      test::randomise(weights, 3);
      Transformer model(weights, &gradients, config, 1, 8);
      const std::vector<int32_t> ids = test::random_ids(8, config.vocab, 1),
                                 targets = test::random_ids(8, config.vocab, 2);
      return model.loss_and_gradients({ids, targets, {}}, 1);
    };
    for (const Precision precision : {Precision::f32, Precision::bf16}) {
      GuardedDevice guarded(make_cpu_device());
      const std::unique_ptr<Device> plain = make_cpu_device();
      EXPECT_EQ(loss(guarded, precision), loss(*plain, precision)) << c.name;
    }
  }
}

}  // namespace
}  // namespace mfa
