#include "model/golden_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "model/transformer.h"

namespace mfa::test {
namespace {

// A model with the script's initial parameters.
struct GoldenModel {
  GoldenModel(Device& on, const GoldenCase& c)
      : device(on),
        golden(c),
        weights(on, c.config),
        gradients(on, c.config),
        transformer(weights, &gradients, c.config, c.sequences, c.tokens) {
    for (const ParameterSpec& spec : weights.table())
      upload_numbers(device, weights.view(spec), initial_parameter(spec));
  }
  TokenBatch batch() const { return {golden.ids, golden.targets, golden.doc_start}; }
  double scored() const {
    return static_cast<double>(
        std::count_if(golden.targets.begin(), golden.targets.end(), [](int t) { return t >= 0; }));
  }
  double mean_loss() { return transformer.loss(batch()) / scored(); }
  // The mean loss; the gradients are its own.
  double backward() {
    device.fill(gradients.flat(), 0);
    return transformer.loss_and_gradients(batch(), 1 / scored()) / scored();
  }
  std::vector<double> gradient(const ParameterSpec& spec) { return download_numbers(device, gradients.view(spec)); }

  Device& device;
  const GoldenCase& golden;
  ParameterStore weights, gradients;
  Transformer transformer;
};

void expect_same_names(const GoldenModel& model) {
  std::set<std::string> ours, expected;
  for (const ParameterSpec& spec : model.weights.table()) ours.insert(spec.name);
  for (const auto& [name, summary] : model.golden.gradients) expected.insert(name);
  ASSERT_EQ(ours, expected);
}

void expect_near(const Summary& ours, const Summary& expected, double tolerance, const std::string& name) {
  EXPECT_NEAR(ours.dot, expected.dot, tolerance) << name;
  EXPECT_NEAR(ours.length, expected.length, tolerance) << name;
}

double length_of_all(const std::map<std::string, Summary>& summaries) {
  double squares = 0;
  for (const auto& [name, s] : summaries) squares += s.length * s.length;
  return std::sqrt(squares);
}

void expect_gradients(GoldenModel& model, const GoldenTolerance& tolerance) {
  const double floor = length_of_all(model.golden.gradients) / 1000;  // some gradients are zero but for rounding
  for (const ParameterSpec& spec : model.weights.table()) {
    const std::vector<double> ours = model.gradient(spec);
    const Summary& expected = model.golden.gradients.at(spec.name);
    const double allowed = tolerance.gradients * (expected.length + floor);
    expect_near(summarise(spec.name, ours), expected, allowed, "gradient of " + spec.name);
    const auto full = model.golden.full_gradients.find(spec.name);
    if (full == model.golden.full_gradients.end()) continue;
    ASSERT_EQ(ours.size(), full->second.size());
    for (size_t i = 0; i < ours.size(); ++i)
      ASSERT_NEAR(ours[i], full->second[i], allowed) << "gradient of " << spec.name << ", number " << i;
  }
}

void adamw_step(GoldenModel& model, DeviceMemory& moments, int64_t step) {
  const GoldenOptimizer& o = golden_suite().optimizer;
  Device& device = model.device;
  const double length = std::sqrt(device.sum_of_squares(model.gradients.flat()));
  const int64_t total = model.weights.size();
  const Tensor all{moments.data(), device.real(), 2, total, total};
  for (const ParameterSpec& spec : model.weights.table()) {
    const int64_t n = spec.size();
    const Tensor part = all.slice_cols(spec.offset, n);
    device.adamw({.p = model.weights.view(spec).reshape(1, n),
                  .g = model.gradients.view(spec).reshape(1, n),
                  .m = part.slice_rows(0, 1),
                  .v = part.slice_rows(1, 1),
                  .lr = o.lr,
                  .beta1 = o.beta1,
                  .beta2 = o.beta2,
                  .eps = o.eps,
                  .decay = spec.decay ? o.decay : 0.0,
                  .grad_scale = std::min(1.0, o.max_norm / length),
                  .step = step});
  }
}

}  // namespace

void check_forward_backward(Device& device, const GoldenCase& golden, const GoldenTolerance& tolerance) {
  validate(golden.config);
  GoldenModel model(device, golden);
  ASSERT_NO_FATAL_FAILURE(expect_same_names(model));
  const std::vector<double> logits = model.transformer.logits(model.batch());
  ASSERT_EQ(logits.size(), golden.logits.size());
  double largest = 0;
  for (const double x : golden.logits) largest = std::max(largest, std::abs(x));
  for (size_t i = 0; i < logits.size(); ++i)
    ASSERT_NEAR(logits[i], golden.logits[i], tolerance.logits * largest)
        << "token " << i / static_cast<size_t>(golden.config.vocab);
  EXPECT_NEAR(model.mean_loss(), golden.losses[0], tolerance.losses * golden.losses[0]);
  EXPECT_NEAR(model.backward(), golden.losses[0], tolerance.losses * golden.losses[0]);
  expect_gradients(model, tolerance);
}

void check_training(Device& device, const GoldenCase& golden, const GoldenTolerance& tolerance) {
  GoldenModel model(device, golden);
  DeviceMemory moments(device, static_cast<size_t>(2 * model.weights.size()) * size_of(device.real()));
  const int64_t steps = golden_suite().optimizer.steps;
  ASSERT_EQ(static_cast<int64_t>(golden.losses.size()), steps + 1);
  for (int64_t step = 0; step < steps; ++step) {
    const double expected = golden.losses[static_cast<size_t>(step)];
    ASSERT_NEAR(model.backward(), expected, tolerance.losses * expected) << "before step " << step + 1;
    adamw_step(model, moments, step + 1);
  }
  EXPECT_NEAR(model.mean_loss(), golden.losses.back(), tolerance.losses * golden.losses.back());
  if (tolerance.trained == 0) return;
  for (const ParameterSpec& spec : model.weights.table()) {
    const Summary& expected = golden.trained.at(spec.name);
    expect_near(summarise(spec.name, download_numbers(device, model.weights.view(spec))), expected,
                tolerance.trained * expected.length, "trained " + spec.name);
  }
}

}  // namespace mfa::test
