#include "runtime/attention_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <numeric>
#include <vector>

#include "base/arena.h"
#include "base/median.h"
#include "base/progress.h"
#include "base/random.h"
#include "model/parameter_store.h"
#include "model/position.h"
#include "runtime/engine.h"

namespace mfa {
namespace {

constexpr int64_t kRotatedBytes = int64_t{4} * (32 << 20);  // four times the 32 MiB that these machines have

void fill_normal(Device& device, Tensor x, uint64_t seed) {
  Random random(seed);
  std::vector<double> values(static_cast<size_t>(x.size()));
  for (double& v : values) v = random.normal();
  upload_numbers(device, x, values);
}

constexpr double kBurst = 0.02;     // seconds of one shape before the next has its turn
constexpr size_t kFewestCalls = 5;  // timed ones, of which a median is taken

// What one shape computes, and how long its calls took.
class LayerBench {
 public:
  virtual ~LayerBench() = default;
  // At least one timed call. A call before short ones is not timed: it finds in the caches what others left there.
  void burst(double until) {
    if (seconds_.empty() || seconds_.back() < kBurst / 2) call(next_++);
    do {
      const double began = now_seconds();
      call(next_++);
      seconds_.push_back(now_seconds() - began);
    } while (now_seconds() < until);
  }
  size_t calls() const { return seconds_.size(); }
  double seconds() const { return median(seconds_); }

 private:
  virtual void call(int64_t i) = 0;  // call i, on one of the copies of its operands, in turn

  int64_t next_ = 0;
  std::vector<double> seconds_;
};

// Page pools full of random keys and values, and the rotation tables of key reuse: what the engine computes.
class PagedBench : public LayerBench {
 public:
  PagedBench(Device& device, const AttentionBenchShape& s)
      : device_(device), shape_(s), rows_(s.phase == BenchPhase::decode ? 1 : s.context) {
    const KvPoolSpec spec{.kv_heads = s.kv_heads,
                          .key_dim = s.head_dim,
                          .value_dim = s.head_dim,
                          .value_in_key = s.key_reuse,
                          .page_tokens = 64,
                          .pages = (s.context + 63) / 64,
                          .type = s.kv_type};
    const int64_t bytes = spec.bytes_per_token() * s.context;
    pages_.resize(static_cast<size_t>(spec.pages));
    std::iota(pages_.begin(), pages_.end(), 0);
    Arena planned;
    plan(planned);
    memory_ = DeviceMemory(device, planned.bytes() + 64);
    Arena arena(memory_.data(), planned.bytes());
    plan(arena);
    fill_normal(device, q_, 1);
    if (s.key_reuse) fill_rotations();
    for (int64_t i = 0; i < (kRotatedBytes + bytes - 1) / bytes + 1; ++i) {
      pools_.push_back(device.make_kv_pool(spec));
      fill(*pools_.back());
    }
  }

 private:
  static constexpr int64_t kFill = 1024;  // tokens appended at a time

  void call(int64_t i) override {
    KvPool& pool = *pools_[static_cast<size_t>(i) % pools_.size()];
    if (shape_.phase == BenchPhase::decode) return attend(pool, 0, 1, shape_.context - 1);
    // A prompt, block by block as the engine takes it, each appended first.
    const int64_t block = EngineOptions{}.rows;
    for (int64_t begin = 0; begin < rows_; begin += block) {
      const int64_t n = std::min(block, rows_ - begin);
      append(pool, begin, n);
      attend(pool, begin, n, begin);
    }
  }

  void attend(KvPool& pool, int64_t row, int64_t n, int64_t position) {
    const PagedSequence sequence{pages_, 0, n, position};
    PagedAttentionArgs args;
    args.pool = &pool;
    args.q = q_.slice_rows(row, n);
    args.out = out_.slice_rows(row, n);
    args.n_heads = shape_.heads;
    args.scale = 1 / std::sqrt(static_cast<double>(shape_.head_dim));
    if (shape_.key_reuse) {
      args.key_cos = cos_;
      args.key_sin = sin_;
    }
    args.sequences = {&sequence, 1};
    device_.attention_paged(args);
  }

  // The tokens at positions [begin, begin + n), n ≤ kFill; always the same keys and values.
  void append(KvPool& pool, int64_t begin, int64_t n) {
    std::iota(slots_.begin(), slots_.begin() + n, begin);
    device_.kv_append(pool, k_.slice_rows(0, n), shape_.key_reuse ? Tensor{} : v_.slice_rows(0, n),
                      std::span(slots_).first(static_cast<size_t>(n)));
  }

  void plan(Arena& arena) {
    const DType real = device_.real();
    const int64_t dim = shape_.head_dim;
    q_ = arena.tensor("q", real, rows_, shape_.heads * dim);
    out_ = arena.tensor("out", real, rows_, shape_.heads * dim);
    k_ = arena.tensor("k", real, kFill, shape_.kv_heads * dim);
    v_ = arena.tensor("v", real, kFill, shape_.kv_heads * dim);
    cos_ = arena.tensor("cos", real, shape_.context, dim / 2);
    sin_ = arena.tensor("sin", real, shape_.context, dim / 2);
  }

  // The table is made of doubles of its own: asked for beside the rest, what is too long is refused, not killed.
  void fill_rotations() {
    const DeviceMemory room(device_, static_cast<size_t>(shape_.context * shape_.head_dim) * sizeof(double));
    const RopeTable table = rope_table({}, shape_.head_dim, shape_.context);
    upload_numbers(device_, cos_, table.cos);
    upload_numbers(device_, sin_, table.sin);
  }

  void fill(KvPool& pool) {
    if (pools_.size() == 1) {
      fill_normal(device_, k_, 2);
      fill_normal(device_, v_, 3);
    }
    for (int64_t begin = 0; begin < shape_.context; begin += kFill)
      append(pool, begin, std::min(kFill, shape_.context - begin));
  }

  Device& device_;
  AttentionBenchShape shape_;
  int64_t rows_;  // queries
  std::vector<int32_t> pages_;
  std::vector<int64_t> slots_ = std::vector<int64_t>(kFill);
  std::vector<std::unique_ptr<KvPool>> pools_;
  DeviceMemory memory_;
  Tensor q_, out_, k_, v_, cos_, sin_;
};

// A training sequence, forward and backward.
class SequenceBench : public LayerBench {
 public:
  SequenceBench(Device& device, const AttentionBenchShape& s) : device_(device) {
    attention_ = {.sequences = 1,
                  .tokens = s.context,
                  .n_heads = s.heads,
                  .kv_heads = s.kv_heads,
                  .key_dim = s.head_dim,
                  .value_dim = s.head_dim,
                  .window = 0,
                  .scale = 1 / std::sqrt(static_cast<double>(s.head_dim))};
    const int64_t bytes = 4 * s.context * s.head_dim * (s.heads + s.kv_heads) * 4;
    copies_ = std::max<int64_t>(2, kRotatedBytes / bytes + 1);
    Arena planned;
    plan(planned);
    memory_ = DeviceMemory(device, planned.bytes() + 64);
    Arena arena(memory_.data(), planned.bytes());
    plan(arena);
    for (Operands& o : operands_)
      for (const Tensor& x : {o.q, o.k, o.v, o.dout})
        if (x) fill_normal(device, x, 5);
  }

 private:
  struct Operands {
    Tensor q, k, v, out, lse, dout, dq, dk, dv;
  };

  void call(int64_t i) override {
    const Operands& o = operands_[static_cast<size_t>(i) % operands_.size()];
    AttentionArgs forward;
    forward.shape = attention_;
    forward.q = o.q, forward.k = o.k, forward.v = o.v, forward.out = o.out, forward.lse = o.lse,
    forward.scratch = scratch_;
    device_.attention_forward(forward);
    device_.attention_backward({.forward = forward, .dout = o.dout, .dq = o.dq, .dk = o.dk, .dv = o.dv});
  }

  void plan(Arena& arena) {
    const DType real = device_.real();
    const int64_t rows = attention_.tokens, q_cols = attention_.n_heads * attention_.key_dim,
                  kv_cols = attention_.kv_heads * attention_.key_dim;
    scratch_ = arena.tensor("scratch", DType::u8, 1, static_cast<int64_t>(device_.attention_scratch(attention_)));
    operands_.assign(static_cast<size_t>(copies_), {});
    for (Operands& o : operands_) {
      o.q = arena.tensor("q", real, rows, q_cols);
      o.k = arena.tensor("k", real, rows, kv_cols);
      o.v = arena.tensor("v", real, rows, kv_cols);
      o.out = arena.tensor("out", real, rows, q_cols);
      o.lse = arena.tensor("lse", real, rows, attention_.n_heads);
      o.dout = arena.tensor("dout", real, rows, q_cols);
      o.dq = arena.tensor("dq", real, rows, q_cols);
      o.dk = arena.tensor("dk", real, rows, kv_cols);
      o.dv = arena.tensor("dv", real, rows, kv_cols);
    }
  }

  Device& device_;
  AttentionShape attention_;
  int64_t copies_ = 1;
  DeviceMemory memory_;
  std::vector<Operands> operands_;
  Tensor scratch_;
};

std::unique_ptr<LayerBench> make_bench(Device& device, const AttentionBenchShape& s) {
  if (s.phase == BenchPhase::train) return std::make_unique<SequenceBench>(device, s);
  return std::make_unique<PagedBench>(device, s);
}

// Operations, bytes and tokens of one call.
AttentionBenchRow count(const AttentionBenchShape& s) {
  AttentionBenchRow row;
  row.shape = s;
  const auto heads = static_cast<double>(s.heads), T = static_cast<double>(s.context),
             C = static_cast<double>(s.head_dim);
  const double operands = 4 * T * C * (2 * heads + 2 * static_cast<double>(s.kv_heads));  // q, k, v, out
  if (s.phase == BenchPhase::train) {
    row.flops = 7 * heads * T * T * C;
    row.bytes = 3 * operands;
    row.tokens = T;
    return row;
  }
  const KvPoolSpec spec{.kv_heads = s.kv_heads,
                        .key_dim = s.head_dim,
                        .value_dim = s.head_dim,
                        .value_in_key = s.key_reuse,
                        .type = s.kv_type};
  const double cache = T * static_cast<double>(spec.bytes_per_token());
  const bool decode = s.phase == BenchPhase::decode;
  row.flops = decode ? 4 * heads * T * C : 2 * heads * T * T * C;
  row.bytes = decode ? cache : 2 * cache + operands;
  row.tokens = decode ? 1 : T;
  return row;
}

}  // namespace

std::vector<AttentionBenchRow> bench_attention(Device& device, std::span<const AttentionBenchShape> shapes,
                                               double seconds, const std::function<void(double)>& progress) {
  if (shapes.empty()) return {};
  std::vector<std::unique_ptr<LayerBench>> benches;
  for (const AttentionBenchShape& shape : shapes) benches.push_back(make_bench(device, shape));
  const double began = now_seconds(), budget = seconds * static_cast<double>(shapes.size());
  for (double spent = 0; spent < budget || benches.front()->calls() < kFewestCalls; spent = now_seconds() - began) {
    for (const auto& bench : benches) bench->burst(now_seconds() + kBurst);
    if (progress) progress(std::min(1.0, (now_seconds() - began) / budget));
  }
  std::vector<AttentionBenchRow> rows;
  for (size_t i = 0; i < shapes.size(); ++i) {
    rows.push_back(count(shapes[i]));
    rows.back().seconds = benches[i]->seconds();
  }
  return rows;
}

std::string describe(const AttentionBenchShape& s) {
  constexpr std::array<std::string_view, 3> phases = {"decode", "prefill", "train"};
  const std::string cache = s.phase == BenchPhase::train
                                ? ""  // and key reuse computes the same
                                : fmt::format(", {} KV{}", kv_name(s.kv_type), s.key_reuse ? ", key reuse" : "");
  return fmt::format("{} {} heads x {}, {} KV head{}, context {}{}", phases[static_cast<size_t>(s.phase)], s.heads,
                     s.head_dim, s.kv_heads, s.kv_heads == 1 ? "" : "s", s.context, cache);
}

}  // namespace mfa
