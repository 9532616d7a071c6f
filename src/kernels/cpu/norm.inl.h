// RMSNorm and LayerNorm, forward and backward. Two passes over a group that stays in cache.
//   x̂ = (x − mean) · r    r = 1 / sqrt(var + eps)    y = x̂ ⊙ w + b      (rms: mean = 0, var = mean square, no b)
//   dx = r · (g − mean(g) − x̂ · mean(g ⊙ x̂))         g = dy ⊙ w         (rms: without mean(g))
#pragma once

#include "kernels/cpu/vec_math.inl.h"

namespace mfa {
namespace {

struct NormStatistics {
  float mean, inverse;
};

inline NormStatistics load_statistics(const NormArgs& args, int64_t row, int64_t group) {
  const float* s = row_of(args.statistics, row);
  if (args.kind == NormKind::rms) return {0, s[group]};
  return {s[2 * group], s[2 * group + 1]};
}

inline NormStatistics measure(const NormArgs& args, const float* x, int64_t d) {
  float mean = 0;
  if (args.kind == NormKind::layer) {
    Vec sum = zero();
    each_vec(d, [&](int64_t i, auto part) { sum = sum + load(x + i, part); });
    mean = horizontal_sum(sum) / static_cast<float>(d);
  }
  Vec squares = zero();
  each_vec(d, [&](int64_t i, auto part) {
    const Vec centred = keep(load(x + i, part) - splat(mean), part, 0);
    squares = fma(centred, centred, squares);
  });
  const float variance = horizontal_sum(squares) / static_cast<float>(d);
  return {mean, 1.0f / __builtin_sqrtf(variance + static_cast<float>(args.eps))};
}

template <class T>
inline void norm_group(const NormArgs& args, const float* x, T* y, int64_t d, NormStatistics s) {
  const float* w = row_of(args.weight, 0);
  const float* b = args.kind == NormKind::layer && args.bias.data != nullptr ? row_of(args.bias, 0) : nullptr;
  const Vec mean = splat(s.mean), inverse = splat(s.inverse);
  each_vec(d, [&](int64_t i, auto part) {
    const Vec normed = (load(x + i, part) - mean) * inverse;
    const Vec weighted = b != nullptr ? fma(normed, load(w + i, part), load(b + i, part)) : normed * load(w + i, part);
    store_operand(y + i, weighted, part);
  });
}

inline void add_rows(const float* base, const float* branch, float* x, int64_t n) {
  each_vec(n, [&](int64_t i, auto part) { store(x + i, load(base + i, part) + load(branch + i, part), part); });
}

inline void norm_forward(const NormArgs& args, int64_t begin, int64_t end) {
  const int64_t d = args.weight.cols, groups = args.x.cols / d;
  for (int64_t r = begin; r < end; ++r) {
    if (args.base.data != nullptr)
      add_rows(row_of(args.base, r), row_of(args.branch, r), row_of(args.x, r), args.x.cols);
    for (int64_t group = 0; group < groups; ++group) {
      const float* x = row_of(args.x, r) + group * d;
      const NormStatistics s = measure(args, x, d);
      with_operand(args.y, [&]<class T>(T*) { norm_group(args, x, row_as<T>(args.y, r) + group * d, d, s); });
      if (args.statistics.data == nullptr) continue;
      float* saved = row_of(args.statistics, r);
      if (args.kind == NormKind::rms) {
        saved[group] = s.inverse;
      } else {
        saved[2 * group] = s.mean;
        saved[2 * group + 1] = s.inverse;
      }
    }
  }
}

// sums: [2][d], Σ dy ⊙ x̂ and for LayerNorm Σ dy so far, or null.
inline void norm_backward_group(const NormGradArgs& args, const float* x, const float* dy, float* dx, int64_t d,
                                NormStatistics s, float* sums) {
  const float* w = row_of(args.forward.weight, 0);
  const bool layer = args.forward.kind == NormKind::layer;
  const Vec mean = splat(s.mean), inverse = splat(s.inverse);
  Vec sum_g = zero(), sum_gx = zero();
  each_vec(d, [&](int64_t i, auto part) {
    const Vec g = load(dy + i, part) * load(w + i, part);
    sum_g = sum_g + g;
    sum_gx = fma(g, (load(x + i, part) - mean) * inverse, sum_gx);
  });
  const float mean_g = layer ? horizontal_sum(sum_g) / static_cast<float>(d) : 0.0f;
  const Vec mg = splat(mean_g), mgx = splat(horizontal_sum(sum_gx) / static_cast<float>(d));
  each_vec(d, [&](int64_t i, auto part) {
    const Vec gradient = load(dy + i, part), normed = (load(x + i, part) - mean) * inverse;
    if (sums != nullptr) store(sums + i, fma(gradient, normed, load(sums + i, part)), part);
    if (sums != nullptr && layer) store(sums + d + i, load(sums + d + i, part) + gradient, part);
    const Vec result = inverse * (gradient * load(w + i, part) - mg - normed * mgx);
    store(dx + i, args.accumulate_dx ? load(dx + i, part) + result : result, part);
  });
}

inline void norm_backward(const NormGradArgs& args, int64_t begin, int64_t end, float* sums) {
  const int64_t d = args.forward.weight.cols, groups = args.forward.x.cols / d;
  if (sums != nullptr) each_vec(2 * d, [&](int64_t i, auto part) { store(sums + i, zero(), part); });
  for (int64_t r = begin; r < end; ++r)
    for (int64_t group = 0; group < groups; ++group)
      norm_backward_group(args, row_of(args.forward.x, r) + group * d, row_of(args.dy, r) + group * d,
                          row_of(args.dx, r) + group * d, d, load_statistics(args.forward, r, group), sums);
}

}  // namespace
}  // namespace mfa
