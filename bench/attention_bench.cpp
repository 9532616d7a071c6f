// Kernels of the CPU device in GFLOP/s: attention as training and decoding call it, and the product they are compared
// with. FLOPs as the command line's contract counts them: causal forward 2 · heads · T² · dim, with backward 3.5 ×.
#include <cmath>
#include <memory>
#include <numeric>
#include <vector>

#include "buffers.h"

namespace mfa {
namespace {

// heads, KV heads, dim, tokens, sequences, whether backward too
void attention_train(benchmark::State& state) {
  const int64_t heads = state.range(0), kv_heads = state.range(1), dim = state.range(2), tokens = state.range(3);
  const int64_t sequences = state.range(4), rows = sequences * tokens;
  const bool backward = state.range(5) != 0;
  Buffers b;
  AttentionArgs args;
  args.shape = {.sequences = sequences,
                .tokens = tokens,
                .n_heads = heads,
                .kv_heads = kv_heads,
                .key_dim = dim,
                .value_dim = dim,
                .scale = 1 / std::sqrt(static_cast<double>(dim))};
  args.q = b.random(rows, heads * dim);
  args.k = b.random(rows, kv_heads * dim);
  args.v = b.random(rows, kv_heads * dim);
  args.out = b.tensor(rows, heads * dim);
  args.lse = b.tensor(rows, heads);
  args.scratch = b.bytes(b.device->attention_scratch(args.shape));
  const AttentionGradArgs grad{.forward = args,
                               .dout = b.random(rows, heads * dim),
                               .dq = b.tensor(rows, heads * dim),
                               .dk = b.tensor(rows, kv_heads * dim),
                               .dv = b.tensor(rows, kv_heads * dim)};
  for (auto _ : state) {
    b.device->attention_forward(args);
    if (backward) b.device->attention_backward(grad);
  }
  const double forward = 2.0 * static_cast<double>(sequences * tokens * tokens * heads * dim);
  count_flops(state, backward ? 3.5 * forward : forward);
}
BENCHMARK(attention_train)
    ->ArgNames({"heads", "kv", "dim", "tokens", "sequences", "backward"})
    ->Args({6, 6, 64, 512, 8, 0})
    ->Args({6, 6, 64, 512, 8, 1})
    ->Args({26, 1, 48, 512, 8, 0})
    ->Args({26, 1, 48, 512, 8, 1})
    ->Args({26, 1, 48, 512, 1, 0})
    ->Args({26, 1, 48, 512, 1, 1})
    ->Args({12, 12, 64, 1024, 2, 0})
    ->Args({12, 12, 64, 1024, 2, 1})
    ->Args({16, 1, 256, 1024, 1, 0})
    ->Args({16, 1, 256, 1024, 1, 1})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

DType type_of(int64_t bytes) { return bytes == 4 ? DType::f32 : bytes == 2 ? DType::bf16 : DType::i8; }

// heads, KV heads, dim, cached tokens, bytes a number. The cache is the same in every call: what fits in the last-level
// cache is read from there (`mfa bench attention` rotates over several).
void attention_decode(benchmark::State& state) {
  const int64_t heads = state.range(0), kv_heads = state.range(1), dim = state.range(2), tokens = state.range(3);
  Buffers b;
  const KvPoolSpec spec{.kv_heads = kv_heads,
                        .key_dim = dim,
                        .value_dim = dim,
                        .page_tokens = 64,
                        .pages = tokens / 64,
                        .type = type_of(state.range(4))};
  const auto pool = b.device->make_kv_pool(spec);
  std::vector<int64_t> slots(static_cast<size_t>(tokens));
  std::iota(slots.begin(), slots.end(), 0);
  b.device->kv_append(*pool, b.random(tokens, kv_heads * dim), b.random(tokens, kv_heads * dim), slots);
  std::vector<int32_t> pages(static_cast<size_t>(spec.pages));
  std::iota(pages.begin(), pages.end(), 0);
  const PagedSequence sequence{.pages = pages, .first_row = 0, .n_rows = 1, .first_position = tokens - 1};
  const PagedAttentionArgs args{.pool = pool.get(),
                                .q = b.random(1, heads * dim),
                                .out = b.tensor(1, heads * dim),
                                .n_heads = heads,
                                .scale = 1 / std::sqrt(static_cast<double>(dim)),
                                .sequences = std::span(&sequence, 1)};
  for (auto _ : state) b.device->attention_paged(args);
  count_flops(state, 4.0 * static_cast<double>(heads * tokens * dim));
  count_bytes(state, static_cast<double>(spec.bytes_per_token() * tokens));
}
BENCHMARK(attention_decode)
    ->ArgNames({"heads", "kv", "dim", "tokens", "bytes"})
    ->Args({16, 1, 256, 8192, 4})
    ->Args({16, 1, 256, 8192, 2})
    ->Args({16, 1, 256, 8192, 1})
    ->Args({16, 1, 256, 32768, 2})
    ->Args({64, 1, 256, 8192, 2})
    ->Args({4, 1, 256, 32768, 2})
    ->Args({26, 1, 48, 8192, 4})
    ->Args({16, 16, 64, 8192, 4})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

// rows, in, out, bytes a weight: y = x W^T of inference
void linear(benchmark::State& state) {
  const int64_t rows = state.range(0), in = state.range(1), out = state.range(2);
  Buffers b;
  const auto weight = b.device->pack_weight(b.random(out, in), state.range(3) == 2 ? DType::bf16 : DType::f32);
  const Tensor x = b.random(rows, in), y = b.tensor(rows, out);
  for (auto _ : state) b.device->linear(x, *weight, y);
  count_flops(state, 2.0 * static_cast<double>(rows * in * out));
  count_bytes(state, static_cast<double>(weight->bytes()));
}
BENCHMARK(linear)
    ->ArgNames({"rows", "in", "out", "bytes"})
    ->Args({1, 2048, 16384, 4})
    ->Args({1, 2048, 16384, 2})
    ->Args({8, 2048, 16384, 4})
    ->Args({256, 2048, 4096, 4})
    ->Args({256, 2048, 4096, 2})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

// m, n, k: the training product
void matmul(benchmark::State& state) {
  const int64_t m = state.range(0), n = state.range(1), k = state.range(2);
  Buffers b;
  const MatmulArgs args{.a = b.random(m, k), .b = b.random(n, k), .c = b.tensor(m, n), .transpose_b = true};
  for (auto _ : state) b.device->matmul(args);
  count_flops(state, 2.0 * static_cast<double>(m * n * k));
}
BENCHMARK(matmul)
    ->ArgNames({"m", "n", "k"})
    ->Args({2048, 2048, 2048})
    ->Args({4096, 1024, 384})
    ->Args({4096, 384, 1024})
    ->Args({4096, 8192, 384})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace mfa

BENCHMARK_MAIN();
