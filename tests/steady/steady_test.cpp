// After the first step, a step allocates nothing and touches no new page: in training and in decoding.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "model/presets.h"
#include "model/random_model.h"
#include "model/transformer.h"
#include "runtime/engine.h"
#include "steady/count_allocations.h"
#include "train/optimizer.h"

namespace mfa {
namespace {

using test::allocations;
using test::page_faults;

struct Use {
  int64_t allocations = 0, page_faults = 0;
};

// What `steps` calls of f take, after two that warm up; the least of three rounds, since the kernel may move a page
// under any process once (compaction), while a step that touches new memory does so every time.
template <class F>
Use use_of(int steps, const F& f) {
  f();
  f();
  Use least{INT64_MAX, INT64_MAX};
  for (int round = 0; round < 3; ++round) {
    const int64_t blocks = allocations(), faults = page_faults();
    for (int i = 0; i < steps; ++i) f();
    least = {std::min(least.allocations, allocations() - blocks), std::min(least.page_faults, page_faults() - faults)};
  }
  return least;
}

ModelConfig make_config(const std::string& preset) {
  PresetOptions o;
  o.width = 128;
  o.layers = 2;
  o.vocab = 500;
  o.context = 128;
  return make_preset(preset, o);
}

class SteadyTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (allocations() < 0) GTEST_SKIP() << "this build cannot count allocations";
  }
};

TEST(CountAllocations, SeesAnAllocationAndAPage) {
  if (allocations() < 0) GTEST_SKIP() << "this build cannot count allocations";
  const int64_t blocks = allocations(), faults = page_faults();
  std::vector<char> large(size_t{16} << 20, 1);
  EXPECT_EQ(allocations() - blocks, 1);
  EXPECT_GE(page_faults() - faults, 8) << large[5];  // 8 huge pages, or 4,096 small ones
}

TEST_P(SteadyTest, TrainingStep) {
  const std::unique_ptr<Device> device = make_cpu_device();
  const ModelConfig config = make_config(GetParam());
  ParameterStore weights(*device, config), gradients(*device, config);
  initialise(weights, config, {});
  Optimizer optimizer(weights, gradients, {});
  constexpr int64_t kSequences = 2;
  Transformer model(weights, &gradients, config, kSequences, config.context);
  const int64_t tokens = kSequences * config.context;
  const std::vector<int32_t> ids = test::random_ids(tokens, config.vocab, 1);
  const std::vector<int32_t> targets = test::random_ids(tokens, config.vocab, 2);
  int64_t step = 0;
  const int64_t library_before = test::allocations_in_onednn();
  const Use use = use_of(5, [&] {
    device->fill(gradients.flat(), 0);
    model.loss_and_gradients({ids, targets, {}}, 1.0 / static_cast<double>(tokens));
    optimizer.update(++step, 1e-3, optimizer.gradient_norm());
  });
  fmt::print("oneDNN itself: {} allocations a step\n", (test::allocations_in_onednn() - library_before) / step);
  EXPECT_EQ(use.allocations, 0) << "in 5 steps";
  EXPECT_EQ(use.page_faults, 0) << "in 5 steps";
}

// Within one page of the cache, whose memory the prompt has touched.
TEST_P(SteadyTest, DecodeStep) {
  const std::unique_ptr<Device> device = make_cpu_device();
  const ModelConfig config = make_config(GetParam());
  ParameterStore weights(*device, config);
  initialise(weights, config, {});
  Engine engine(*device, config, weights, {});
  KvCache cache(*device, config, DType::bf16, config.context);
  Sequence sequence(cache);
  const std::vector<int32_t> ids = test::random_ids(config.context, config.vocab, 1);
  StepItem item{&sequence, std::span(ids).first(70), Wanted::last_logits, {}, {}};
  engine.step(cache, {&item, 1});
  int64_t at = 70;
  const Use use = use_of(10, [&] {
    item.ids = std::span(ids).subspan(static_cast<size_t>(at++), 1);
    engine.step(cache, {&item, 1});
  });
  EXPECT_EQ(use.allocations, 0) << "in 10 tokens";
  EXPECT_EQ(use.page_faults, 0) << "in 10 tokens";
}

INSTANTIATE_TEST_SUITE_P(Variants, SteadyTest, testing::Values("mha", "mla", "mfa", "mfa-kr"),
                         [](const testing::TestParamInfo<const char*>& param) {
                           std::string name = param.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace mfa
