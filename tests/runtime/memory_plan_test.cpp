#include "runtime/memory_plan.h"

#include "base/available_memory.h"
#include "base/error.h"
#include "model/presets.h"
#include "runtime/engine.h"

namespace mfa {
namespace {

ModelConfig small(bool tied) {
  PresetOptions o;
  o.width = 64;
  o.vocab = 100;
  o.context = 32;
  o.tied = tied;
  return make_preset("mha", o);
}

TEST(MemoryPlan, CountsWhatTheEngineKeeps) {
  const std::unique_ptr<Device> device = make_reference_device();
  for (const bool tied : {true, false}) {
    const ModelConfig config = small(tied);
    const ParameterStore store(*device, config);
    const Engine engine(*device, config, store, {});
    int64_t beside = 0;  // the embedding and the vectors, which the engine does not count as packed weights
    for (const ParameterSpec& spec : store.table())
      if (spec.vector || spec.name == "model.embed_tokens.weight") beside += 4 * spec.size();
    const MemoryPlan plan = plan_memory(config, DType::f32, DType::bf16, 1000, 32);
    EXPECT_EQ(plan.weights, static_cast<int64_t>(engine.weight_bytes()) + beside);
    EXPECT_EQ(plan.kv(), 1000 * kv_bytes_per_token(config, DType::bf16));
  }
}

TEST(MemoryPlan, RefusesBeforeAnythingIsTaken) {
  const std::unique_ptr<Device> device = make_reference_device();
  const ModelConfig config = small(true);
  EXPECT_GT(available_memory(), 0);
  EXPECT_NO_THROW(require_memory(plan_memory(config, DType::f32, DType::f32, 32, 32)));
  const int64_t tokens = int64_t{1} << 40;  // petabytes
  EXPECT_THROW(require_memory(plan_memory(config, DType::f32, DType::f32, tokens, 32)), Failure);
  EXPECT_THROW(KvCache(*device, config, DType::f32, tokens), Failure);
}

}  // namespace
}  // namespace mfa
