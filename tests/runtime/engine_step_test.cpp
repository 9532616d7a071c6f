// One step of the engine for sequences that want different things of it.
#include <gtest/gtest.h>

#include "kernels/cpu/cpu_device.h"
#include "kernels/forwarding_device.h"
#include "model/random_model.h"
#include "runtime/engine.h"

namespace mfa {
namespace {

class ProductCounter : public ForwardingDevice {
 public:
  using ForwardingDevice::ForwardingDevice;
  void linear(Tensor x, const PackedWeight& w, Tensor y) override {
    ++products;
    in = precision();
    ForwardingDevice::linear(x, w, y);
  }
  int64_t products = 0;
  Precision in = Precision::f32;  // of the last product
};

class EngineStep : public ::testing::Test {
 protected:
  static ModelConfig make_config() {
    PresetOptions o;
    o.width = 32;
    o.layers = 2;
    o.vocab = 41;
    o.ffn = 48;
    o.context = 300;
    o.heads = 2;
    o.head_dim = 16;
    return make_preset("mfa", o);
  }
  EngineStep() : weights_(*cpu_, config_) {
    test::randomise(weights_, 3, 0.2);
    engine_ = std::make_unique<Engine>(counter_, config_, weights_, EngineOptions{});
    cache_ = std::make_unique<KvCache>(counter_, config_, DType::f32, 8 * 320);
  }
  StepItem item(Wanted wanted, size_t n) {
    sequences_.push_back(std::make_unique<Sequence>(*cache_));
    return {sequences_.back().get(), std::span(ids_).first(n), wanted, std::span(targets_).first(n), {}};
  }
  std::vector<float> alone(Wanted wanted, size_t n) {
    StepItem one = item(wanted, n);
    engine_->step(*cache_, {&one, 1});
    return one.result;
  }

  std::unique_ptr<Device> cpu_ = make_cpu_device();
  ProductCounter counter_{*cpu_};
  ModelConfig config_ = make_config();
  ParameterStore weights_;
  std::vector<int32_t> ids_ = test::random_ids(290, 41, 5), targets_ = test::random_ids(290, 41, 6);
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<KvCache> cache_;
  std::vector<std::unique_ptr<Sequence>> sequences_;
};

// Among them a prompt that is longer than a block of 256 rows, so that its pieces are finished apart.
TEST_F(EngineStep, EachGetsWhatItWants) {
  std::vector<StepItem> items;
  items.push_back(item(Wanted::losses, 20));
  items.push_back(item(Wanted::nothing, 7));
  items.push_back(item(Wanted::last_logits, 290));
  items.push_back(item(Wanted::all_logits, 5));
  items.push_back(item(Wanted::losses, 1));
  engine_->step(*cache_, items);
  EXPECT_EQ(items[0].result, alone(Wanted::losses, 20));
  EXPECT_TRUE(items[1].result.empty());
  EXPECT_EQ(items[2].result, alone(Wanted::last_logits, 290));
  EXPECT_EQ(items[3].result, alone(Wanted::all_logits, 5));
  EXPECT_EQ(items[4].result, alone(Wanted::losses, 1));
  EXPECT_EQ(items[2].result.size(), 41u);
  EXPECT_EQ(items[3].result.size(), 5 * 41u);
}

// Decoding reads the weights: sequences that decode together share each of them, the classifier too.
TEST_F(EngineStep, SequencesShareEachProduct) {
  alone(Wanted::last_logits, 1);
  const int64_t products_of_one = counter_.products;
  std::vector<StepItem> items;
  for (int i = 0; i < 4; ++i) items.push_back(item(Wanted::last_logits, 1));
  counter_.products = 0;
  engine_->step(*cache_, items);
  EXPECT_EQ(counter_.products, products_of_one);
}

// Two models of one process may be made for different precisions; the device is left as it was.
TEST_F(EngineStep, MultipliesInItsOwnPrecision) {
  for (const Precision device : {Precision::f32, Precision::bf16}) {
    counter_.set_precision(device);
    for (const std::optional<Precision> own : {std::optional<Precision>{}, {Precision::f32}, {Precision::bf16}}) {
      engine_ = std::make_unique<Engine>(counter_, config_, weights_,
                                         EngineOptions{.weights = DType::bf16, .precision = own});
      alone(Wanted::last_logits, 3);
      EXPECT_EQ(counter_.in, own.value_or(device));
      EXPECT_EQ(counter_.precision(), device);
    }
  }
}

}  // namespace
}  // namespace mfa
