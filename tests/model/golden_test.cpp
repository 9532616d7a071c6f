// The model against golden cases of an independent PyTorch model, in double and in single precision.
#include <gtest/gtest.h>

#include "kernels/guarded_device.h"
#include "model/golden_check.h"

namespace mfa::test {
namespace {

// Double: sums of at most some hundred terms through two or three layers round at about 1e-14 of their size. AdamW's
// first step divides a gradient by its own size, which magnifies the rounding of the smallest gradients; eps = 1e-8
// bounds that at 1e-15 / 1e-8 of a step of 1e-2, i.e. 1e-9 of a parameter.
constexpr GoldenTolerance kDouble{.logits = 1e-12, .gradients = 1e-11, .losses = 1e-8, .trained = 1e-8};

// Single: the same sums at 6e-8 a rounding. Trained parameters are not compared: a gradient that is zero but for
// rounding moves a parameter by a whole step of 1e-2. The losses are, since such parameters do not matter to them.
constexpr GoldenTolerance kSingle{.logits = 1e-5, .gradients = 1e-4, .losses = 1e-4, .trained = 0};

class Golden : public testing::TestWithParam<size_t> {
 protected:
  const GoldenCase& golden() const { return golden_suite().cases[GetParam()]; }
};

// Guarded: the model may not look into tensor memory, which need not be the host's.
TEST_P(Golden, ForwardAndBackwardInDouble) {
  check_forward_backward(*make_guarded_device(make_reference_device(DType::f64)), golden(), kDouble);
}

TEST_P(Golden, TrainingInDouble) { check_training(*make_reference_device(DType::f64), golden(), kDouble); }

TEST_P(Golden, ForwardAndBackwardInSingle) {
  check_forward_backward(*make_reference_device(DType::f32), golden(), kSingle);
}

TEST_P(Golden, TrainingInSingle) { check_training(*make_reference_device(DType::f32), golden(), kSingle); }

TEST_P(Golden, ForwardAndBackwardOnTheCpuDevice) {
  const auto device = make_cpu_device();
  device->set_precision(Precision::f32);
  check_forward_backward(*device, golden(), kSingle);
}

TEST_P(Golden, TrainingOnTheCpuDevice) {
  const auto device = make_cpu_device();
  device->set_precision(Precision::f32);
  check_training(*device, golden(), kSingle);
}

std::string case_name(const testing::TestParamInfo<size_t>& info) {
  std::string name = golden_suite().cases[info.param].name;
  for (char& c : name)
    if (c == '-') c = '_';  // GoogleTest allows letters, digits and _
  return name;
}

INSTANTIATE_TEST_SUITE_P(Cases, Golden, testing::Range<size_t>(0, golden_suite().cases.size()), case_name);

}  // namespace
}  // namespace mfa::test
