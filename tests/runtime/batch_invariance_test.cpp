// Batch invariance of the whole engine, in bytes: a sequence's logits are the same alone, in company, and however its
// prompt was cut, on every path of this CPU, for every variant and every type of cache.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "base/thread_team.h"
#include "kernels/devices_under_test.h"
#include "model/random_model.h"
#include "runtime/engine.h"

namespace mfa {
namespace {

// Crosses eight page edges, the engine's blocks of 256 rows and the kernel's split at 512 positions.
constexpr int64_t kPrompt = 530, kDecoded = 5, kTokens = kPrompt + kDecoded;

ModelConfig make_config(const std::string& preset) {
  PresetOptions o;
  o.width = 64;
  o.layers = 2;
  o.vocab = 37;
  o.ffn = 80;
  o.context = kTokens;
  o.heads = 4;
  o.head_dim = 16;
  if (preset == "gqa") o.kv_heads = 2;
  if (preset == "mfa") o.heads = 7, o.head_dim = 40;  // 40: half a block of lanes is left over
  if (preset == "mfa-kr") o.heads = 7, o.head_dim = 32;
  return make_preset(preset, o);
}

class Invariance {
 public:
  Invariance(Device& device, const std::string& preset, DType kv)
      : config_(make_config(preset)), random_(17), ids_(test::random_ids(kTokens, config_.vocab, 4)) {
    ParameterStore weights(device, config_);
    test::randomise(weights, 5, 0.2);
    const DType stored = kv == DType::bf16 ? DType::bf16 : DType::f32;
    engine_ = std::make_unique<Engine>(device, config_, weights, EngineOptions{.weights = stored});
    cache_ = std::make_unique<KvCache>(device, config_, kv, 17 * (kTokens + 64));
  }

  // Logits of all tokens: the prompt in one step, then one token a step.
  std::vector<float> alone() {
    Sequence sequence(*cache_);
    std::vector<float> all;
    feed(sequence, 0, kPrompt, all);
    for (int64_t t = kPrompt; t < kTokens; ++t) feed(sequence, t, 1, all);
    return all;
  }

  // The same with the prompt cut at `cuts` random places (and any two cuts may coincide).
  std::vector<float> cut(int64_t cuts) {
    std::vector<int64_t> at{0, kPrompt};
    for (int64_t i = 0; i < cuts; ++i) at.push_back(static_cast<int64_t>(random_.below(kPrompt)));
    std::sort(at.begin(), at.end());
    Sequence sequence(*cache_);
    std::vector<float> all;
    for (size_t i = 1; i < at.size(); ++i)
      if (at[i] > at[i - 1]) feed(sequence, at[i - 1], at[i] - at[i - 1], all);
    for (int64_t t = kPrompt; t < kTokens; ++t) feed(sequence, t, 1, all);
    return all;
  }

  // In steps of `batch` sequences. The others have lengths of their own, come before and after ours, and bring now a
  // prompt, now a single token. Our prompt comes in two pieces, then token by token.
  std::vector<float> in_company(int64_t batch) {
    Company others(*this, batch - 1);
    Sequence sequence(*cache_);
    std::vector<float> all;
    const int64_t first = 1 + static_cast<int64_t>(random_.below(kPrompt - 1));
    for (int64_t begin = 0; begin < kTokens;) {
      const int64_t count = begin == 0 ? first : begin < kPrompt ? kPrompt - begin : 1;
      std::vector<StepItem> items = others.next();
      const auto place = static_cast<std::ptrdiff_t>(random_.below(items.size() + 1));
      items.insert(items.begin() + place,
                   {&sequence, std::span(ids_).subspan(begin, count), Wanted::all_logits, {}, {}});
      engine_->step(*cache_, items);
      const std::vector<float>& result = items[static_cast<size_t>(place)].result;
      all.insert(all.end(), result.begin(), result.end());
      begin += count;
    }
    return all;
  }

 private:
  // Sequences that run beside ours.
  class Company {
   public:
    Company(Invariance& owner, int64_t count) : owner_(owner) {
      for (int64_t i = 0; i < count; ++i) {
        sequences_.push_back(std::make_unique<Sequence>(*owner.cache_));
        ids_.push_back(test::random_ids(kTokens, owner.config_.vocab, 100 + static_cast<uint64_t>(i)));
      }
    }
    std::vector<StepItem> next() {
      std::vector<StepItem> items;
      for (size_t i = 0; i < sequences_.size(); ++i) {
        const int64_t begin = sequences_[i]->length(), left = kTokens - begin;
        const int64_t most = begin == 0 ? 480 : owner_.random_.below(4) == 0 ? 9 : 1;
        const int64_t count = 1 + static_cast<int64_t>(owner_.random_.below(static_cast<uint64_t>(most)));
        items.push_back({sequences_[i].get(),
                         std::span(ids_[i]).subspan(begin, std::min(left, count)),
                         Wanted::last_logits,
                         {},
                         {}});
      }
      return items;
    }

   private:
    Invariance& owner_;
    std::vector<std::unique_ptr<Sequence>> sequences_;
    std::vector<std::vector<int32_t>> ids_;
  };

  void feed(Sequence& sequence, int64_t begin, int64_t count, std::vector<float>& all) {
    StepItem item{&sequence, std::span(ids_).subspan(begin, count), Wanted::all_logits, {}, {}};
    engine_->step(*cache_, {&item, 1});
    all.insert(all.end(), item.result.begin(), item.result.end());
  }

  ModelConfig config_;
  Random random_;
  std::vector<int32_t> ids_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<KvCache> cache_;
};

// Bytes, not numbers: 0 and −0 differ, a NaN is equal to itself.
bool same_bytes(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// For each path, variant and type of cache: batches of the given sizes, and the prompt cut 20 times at random.
void check(const std::vector<int64_t>& batches, int trials_of_cuts) {
  for (const auto& device : cpu_devices_in_each_precision())
    for (const char* preset : {"mha", "gqa", "mfa", "mfa-kr", "mla"})
      for (const DType kv : {DType::f32, DType::bf16, DType::i8}) {
        SCOPED_TRACE(fmt::format("{}, {}, {} cache", title(*device), preset, name_of(kv)));
        Invariance run(*device, preset, kv);
        const std::vector<float> alone = run.alone();
        for (const int64_t batch : batches)
          EXPECT_TRUE(same_bytes(run.in_company(batch), alone)) << "in a batch of " << batch;
        for (int trial = 0; trial < trials_of_cuts; ++trial)
          EXPECT_TRUE(same_bytes(run.cut(20), alone)) << "cut " << trial;
      }
}

TEST(BatchInvariance, AloneInCompanyAndCut) { check({2, 16}, 1); }

TEST(BatchInvarianceFull, EveryBatchAndTwentyCuts) { check({2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, 20); }

// The number of threads decides who computes what, never the order of a sum.
TEST(BatchInvariance, ThreadsChangeNothing) {
  const auto device = make_cpu_device();
  device->set_precision(device->info().native_precision);
  for (const char* preset : {"mha", "mfa", "mfa-kr"}) {
    Invariance run(*device, preset, DType::bf16);
    const std::vector<float> alone = run.alone();
    for (const int threads : {1, 3}) {
      set_num_threads(threads);
      EXPECT_TRUE(same_bytes(run.alone(), alone)) << preset << " on " << threads;
    }
    set_num_threads(0);
  }
}

}  // namespace
}  // namespace mfa
