// The rest of a training step besides products and attention, one kernel each, at the shapes of `mfa bench train`:
// 14m (4,096 rows of 384, FFN 1024, vocabulary 8k) and 100m (2,048 rows of 768, FFN 2048, vocabulary 32k). All of them
// are bound by memory: GB/s is to be compared with read_gb_per_s of `mfa bench`.
#include "buffers.h"

namespace mfa {
namespace {

void norm(benchmark::State& state) {
  const int64_t rows = state.range(0), cols = state.range(1);
  const bool backward = state.range(2) != 0;
  Buffers b;
  const NormArgs args{.x = b.random(rows, cols),
                      .weight = b.random(1, cols),
                      .bias = {},
                      .y = b.tensor(rows, cols),
                      .statistics = b.tensor(rows, 1)};
  const NormGradArgs grad{.forward = args,
                          .dy = b.random(rows, cols),
                          .dx = b.tensor(rows, cols),
                          .dweight = b.tensor(1, cols),
                          .dbias = {}};
  b.device->norm_forward(args);
  for (auto _ : state) backward ? b.device->norm_backward(grad) : b.device->norm_forward(args);
  count_bytes(state, 4.0 * static_cast<double>(rows * cols) * (backward ? 3 : 2));
}
BENCHMARK(norm)
    ->ArgNames({"rows", "width", "backward"})
    ->Args({4096, 384, 0})
    ->Args({4096, 384, 1})
    ->Args({2048, 768, 0})
    ->Args({2048, 768, 1})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

void rope(benchmark::State& state) {
  const int64_t sequences = state.range(0), tokens = state.range(1), heads = state.range(2), dim = state.range(3);
  Buffers b;
  const int64_t rows = sequences * tokens;
  const RopeArgs args{.x = b.random(rows, heads * dim),
                      .positions = b.integers(rows, tokens),
                      .cos = b.tensor(tokens, dim / 2),
                      .sin = b.tensor(tokens, dim / 2),
                      .n_heads = heads,
                      .head_dim = dim};
  b.device->fill(args.cos, 0.8);  // a rotation, so that numbers keep their size
  b.device->fill(args.sin, 0.6);
  for (auto _ : state) b.device->rope(args);
  count_bytes(state, 8.0 * static_cast<double>(rows * heads * dim));
}
BENCHMARK(rope)
    ->ArgNames({"sequences", "tokens", "heads", "dim"})
    ->Args({8, 512, 6, 64})
    ->Args({8, 512, 26, 48})
    ->Args({2, 1024, 26, 96})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

void swiglu(benchmark::State& state) {
  const int64_t rows = state.range(0), ffn = state.range(1);
  const bool backward = state.range(2) != 0;
  Buffers b;
  const Tensor gate = b.random(rows, ffn), up = b.random(rows, ffn), out = b.random(rows, ffn);
  const Tensor dgate = b.tensor(rows, ffn), dup = b.tensor(rows, ffn);
  for (auto _ : state) {
    if (backward)
      b.device->swiglu_backward(gate, up, out, dgate, dup);
    else
      b.device->swiglu_forward(gate, up, out);
  }
  count_bytes(state, 4.0 * static_cast<double>(rows * ffn) * (backward ? 5 : 3));
}
BENCHMARK(swiglu)
    ->ArgNames({"rows", "ffn", "backward"})
    ->Args({4096, 1024, 0})
    ->Args({4096, 1024, 1})
    ->Args({2048, 2048, 0})
    ->Args({2048, 2048, 1})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

// Logits of a block of rows, as the model gives them. With the gradient, logits are overwritten: the second pass over
// the same memory sees small numbers, which take the same time.
void cross_entropy(benchmark::State& state) {
  const int64_t rows = state.range(0), vocab = state.range(1);
  const bool gradient = state.range(2) != 0;
  Buffers b;
  const Tensor logits = b.random(rows, vocab);
  const CrossEntropyArgs args{.logits = logits,
                              .targets = b.integers(rows, vocab),
                              .losses = b.tensor(1, rows),
                              .gradient = gradient ? logits : Tensor{},
                              .gradient_scale = 1};
  for (auto _ : state) b.device->cross_entropy(args);
  count_bytes(state, 4.0 * static_cast<double>(rows * vocab) * (gradient ? 2 : 1));
}
BENCHMARK(cross_entropy)
    ->ArgNames({"rows", "vocab", "gradient"})
    ->Args({1024, 8192, 0})
    ->Args({1024, 8192, 1})
    ->Args({256, 32768, 1})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

void adamw(benchmark::State& state) {
  const int64_t n = state.range(0);
  Buffers b;
  AdamWArgs args{.p = b.random(1, n), .g = b.random(1, n), .m = b.tensor(1, n), .v = b.tensor(1, n), .lr = 1e-4};
  for (auto _ : state) {
    b.device->adamw(args);
    ++args.step;
  }
  count_bytes(state, 28.0 * static_cast<double>(n));  // p, m and v read and written, g read
}
BENCHMARK(adamw)->ArgName("numbers")->Arg(14 << 20)->UseRealTime()->Unit(benchmark::kMillisecond);

void embedding(benchmark::State& state) {
  const int64_t rows = state.range(0), width = state.range(1), vocab = state.range(2);
  const bool backward = state.range(3) != 0;
  Buffers b;
  const Tensor ids = b.integers(rows, vocab), table = b.random(vocab, width), out = b.random(rows, width);
  for (auto _ : state) {
    if (backward)
      b.device->embedding_backward(ids, out, table);
    else
      b.device->embedding_forward(ids, table, out);
  }
  count_bytes(state, 4.0 * static_cast<double>(rows * width) * (backward ? 3 : 2));
}
BENCHMARK(embedding)
    ->ArgNames({"rows", "width", "vocab", "backward"})
    ->Args({4096, 384, 8192, 0})
    ->Args({4096, 384, 8192, 1})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace mfa

BENCHMARK_MAIN();
