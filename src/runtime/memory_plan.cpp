#include "runtime/memory_plan.h"

#include <algorithm>

#include "base/available_memory.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text_table.h"
#include "runtime/engine.h"
#include "runtime/kv_cache.h"

namespace mfa {
namespace {

// Numbers of one row of scratch: the logits, and some vectors of each width that a layer has.
int64_t scratch_columns(const ModelConfig& config) {
  int64_t most = 0;
  for (const LayerSpec& layer : config.layers) {
    const AttentionSpec& a = layer.attention;
    most = std::max(most, 3 * layer.ffn + 2 * a.n_heads * (a.key_dim() + a.value_dim + a.kv_rank) + 4 * config.width);
  }
  return config.vocab + most;
}

}  // namespace

MemoryPlan plan_memory(const ModelConfig& config, DType weights, DType kv, int64_t tokens, int64_t positions) {
  MemoryPlan plan{.weight_type = weights, .kv_type = kv};
  const auto number = static_cast<int64_t>(size_of(weights));
  std::vector<int64_t> of_layer(static_cast<size_t>(config.n_layers()) + 2,
                                0);  // numbers; what is outside: the last two
  for (const ParameterSpec& spec : parameter_table(config)) {
    const bool embedding = spec.name == "model.embed_tokens.weight";
    plan.weights += spec.size() * (spec.vector || embedding ? 4 : number);
    if (embedding && config.tied) plan.weights += spec.size() * number;
    of_layer[static_cast<size_t>(spec.layer >= 0 ? spec.layer : config.n_layers() + (embedding ? 0 : 1))] +=
        spec.size();
  }
  int64_t rotary = 0;
  for (const LayerSpec& layer : config.layers) rotary = std::max(rotary, layer.attention.rotary_dim());
  plan.work = EngineOptions{}.rows * scratch_columns(config) * 4 + positions * rotary * 4 +
              4 * *std::max_element(of_layer.begin(), of_layer.end());
  plan.kv_per_token = kv_bytes_per_token(config, kv);
  plan.tokens = tokens;
  return plan;
}

std::string describe(const MemoryPlan& plan, const std::string& stored) {
  const auto bytes = [](int64_t n) { return human_bytes(static_cast<uint64_t>(n)); };
  const std::string_view type = name_of(plan.weight_type);
  return fmt::format("weights {} ({}{}), KV {} a token ({}), for {} tokens {}", bytes(plan.weights), type,
                     stored == type ? "" : ", stored as " + stored, bytes(plan.kv_per_token), kv_name(plan.kv_type),
                     grouped(plan.tokens), bytes(plan.kv()));
}

void require_memory(const MemoryPlan& plan) {
  const int64_t available = available_memory();
  if (plan.total() <= available) return;
  const auto bytes = [](int64_t n) { return human_bytes(static_cast<uint64_t>(n)); };
  fail("[memory] the model needs {} (weights {}, KV for {} tokens {}, work {}), available are {}; {}",
       bytes(plan.total()), bytes(plan.weights), grouped(plan.tokens), bytes(plan.kv()), bytes(plan.work),
       bytes(available),
       plan.weights + plan.work > available ? "its weights alone do not fit"
                                            : "fewer tokens of context, or --kv int8, take less");
}

}  // namespace mfa
