#include "runtime/step_bench.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/median.h"
#include "base/progress.h"
#include "base/random.h"
#include "model/parameter_store.h"

namespace mfa {
namespace {

constexpr int64_t kFill = 1024;     // tokens written at a time
constexpr int64_t kPageRound = 64;  // each sequence takes whole pages

// Random keys and values for all the sequences' tokens, in every layer that owns a cache.
void fill_cache(Device& device, const ModelConfig& config, KvCache& cache,
                const std::vector<std::unique_ptr<Sequence>>& sequences) {
  int64_t widest = 1;
  for (int64_t i = 0; i < config.n_layers(); ++i) {
    const KvPoolSpec& spec = cache.pool(i).spec();
    widest = std::max({widest, spec.kv_heads * spec.key_dim, spec.kv_heads * spec.value_dim});
  }
  const size_t bytes = static_cast<size_t>(kFill * widest) * size_of(device.real());
  const DeviceMemory keys(device, bytes), values(device, bytes);
  std::vector<double> numbers(static_cast<size_t>(kFill * widest));
  Random random(1);
  const auto tensor = [&](const DeviceMemory& memory, int64_t cols) {
    return Tensor{memory.data(), device.real(), kFill, cols, cols};
  };
  for (const DeviceMemory* memory : {&keys, &values}) {
    for (double& x : numbers) x = random.normal();
    upload_numbers(device, tensor(*memory, widest), numbers);
  }
  std::vector<int64_t> slots;
  for (int64_t layer = 0; layer < config.n_layers(); ++layer) {
    if (!config.owns_cache(layer)) continue;
    KvPool& pool = cache.pool(layer);
    const KvPoolSpec& spec = pool.spec();
    const Tensor k = tensor(keys, spec.kv_heads * spec.key_dim), v = tensor(values, spec.kv_heads * spec.value_dim);
    for (const auto& sequence : sequences) {
      for (int64_t begin = 0; begin < sequence->length(); begin += kFill) {
        const int64_t n = std::min(kFill, sequence->length() - begin);
        slots.clear();
        for (int64_t i = 0; i < n; ++i) slots.push_back(sequence->slot(begin + i));
        device.kv_append(pool, k.slice_rows(0, n), spec.value_in_key ? Tensor{} : v.slice_rows(0, n), slots);
      }
    }
  }
}

double visible_kv_bytes(const ModelConfig& config, const KvCache& cache, int64_t context) {
  double bytes = 0;
  for (int64_t i = 0; i < config.n_layers(); ++i) {
    const int64_t window = config.layers[static_cast<size_t>(i)].window;
    const int64_t seen = window > 0 ? std::min(window, context) : context;
    bytes += static_cast<double>(seen * cache.pool(i).spec().bytes_per_token());
  }
  return bytes;
}

struct StepTimes {
  std::vector<double> whole, products, attention, vectors;
  void add(double seconds, const TimedDevice* clock) {
    whole.push_back(seconds);
    if (clock == nullptr) return;
    products.push_back(clock->seconds(OperationKind::product));
    attention.push_back(clock->seconds(OperationKind::attention));
    vectors.push_back(clock->seconds(OperationKind::vector));
  }
};

}  // namespace

int64_t bench_cache_tokens(const StepBenchShape& shape) {
  return shape.batch * ((shape.context + kPageRound - 1) / kPageRound * kPageRound);
}

StepBenchRow bench_step(Device& device, Engine& engine, const StepBenchShape& shape, double budget,
                        TimedDevice* clock) {
  if (shape.context < 1 || shape.batch < 1 || shape.context > engine.positions())
    bad_input("[bench model] {} sequences of {} tokens, expected at least one of 1 to {}", shape.batch, shape.context,
              engine.positions());
  if (shape.new_tokens < 1 || shape.new_tokens > shape.context)
    bad_input("[bench model] new tokens, got {}, expected 1 to {}", shape.new_tokens, shape.context);
  const ModelConfig& config = engine.config();
  KvCache cache(device, config, shape.kv_type, bench_cache_tokens(shape));
  std::vector<std::unique_ptr<Sequence>> sequences;
  for (int64_t i = 0; i < shape.batch; ++i) {
    sequences.push_back(std::make_unique<Sequence>(cache));
    sequences.back()->extend(shape.context - shape.new_tokens);
  }
  fill_cache(device, config, cache, sequences);
  std::vector<int32_t> ids(static_cast<size_t>(shape.batch * shape.new_tokens));
  std::vector<StepItem> items;
  const auto each = static_cast<size_t>(shape.new_tokens);
  for (size_t i = 0; i < sequences.size(); ++i)
    items.push_back({sequences[i].get(), std::span(ids).subspan(i * each, each), Wanted::last_logits, {}, {}});
  Random random(2);
  const int warm = shape.new_tokens == 1 ? 2 : 1, least = shape.new_tokens == 1 ? 11 : 3;
  StepTimes times;
  double until = 0;
  for (int step = 0; step < warm + least || now_seconds() < until; ++step) {
    for (int32_t& id : ids) id = static_cast<int32_t>(random.below(static_cast<uint64_t>(config.vocab)));
    if (clock != nullptr) clock->reset();
    const double began = now_seconds();
    engine.step(cache, items);
    const double ended = now_seconds();
    for (const auto& sequence : sequences) sequence->truncate(shape.context - shape.new_tokens);
    if (step == warm - 1) until = ended + budget;
    if (step >= warm) times.add(ended - began, clock);
  }
  return {.seconds = median(times.whole),
          .steps = static_cast<int64_t>(times.whole.size()),
          .tokens = static_cast<double>(shape.batch * shape.new_tokens),
          .products = median(times.products),
          .attention = median(times.attention),
          .vectors = median(times.vectors),
          .weight_bytes = static_cast<double>(engine.weight_bytes()),
          .kv_bytes = static_cast<double>(shape.batch) * visible_kv_bytes(config, cache, shape.context)};
}

}  // namespace mfa
