// Softmax cross-entropy, AdamW, and the sums that clipping and logging need. All bound by memory for large
// vocabularies.
#pragma once

#include "kernels/cpu/vec_math.inl.h"

namespace mfa {
namespace {

inline float max_value(const float* x, int64_t n) {
  Vec largest = splat(kMinusInfinity), nan = zero();
  each_vec(n, [&](int64_t i, auto part) {
    const Vec v = load(x + i, part);
    largest = max(keep(v, part, kMinusInfinity), largest);
    nan = nan + (v - v);  // ∞ − ∞ is NaN too, so a NaN here is only a reason to look again
  });
  if (any_nan(nan))
    for (int64_t i = 0; i < n; ++i)
      if (__builtin_isnan(x[i])) return x[i];
  return horizontal_max(largest);
}

// Three passes over a row, of which the first reads memory and the others cache: max; exp and sum; gradient, unless
// that is null.
template <class T>
inline float cross_entropy_row(float* x, int64_t vocab, int64_t target, T* gradient, float gradient_scale) {
  const float at_target = x[target], largest = max_value(x, vocab);
  Vec sum = zero();
  const Vec shift = splat(largest);
  each_vec(vocab, [&](int64_t i, auto part) {
    const Vec e = exp(load(x + i, part) - shift);
    sum = sum + keep(e, part, 0);
    if (gradient != nullptr) store(x + i, e, part);
  });
  const float total = horizontal_sum(sum);
  if (gradient != nullptr) {
    const float factor = gradient_scale / total, of_target = x[target] * factor - gradient_scale;
    each_vec(vocab,
             [&](int64_t i, auto part) { store_operand(gradient + i, load(x + i, part) * splat(factor), part); });
    store_operand(gradient + target, splat(of_target), Part{1});
  }
  return __builtin_logf(total) + (largest - at_target);
}

inline void cross_entropy(const CrossEntropyArgs& args, int64_t begin, int64_t end) {
  const int64_t vocab = args.logits.cols;
  with_operand(args.gradient, [&]<class T>(T*) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t target = ids_of(args.targets)[r];
      T* gradient = args.gradient.data != nullptr ? row_as<T>(args.gradient, r) : nullptr;
      float* loss = row_of(args.losses, 0) + r;
      if (target >= 0) {
        *loss =
            cross_entropy_row(row_of(args.logits, r), vocab, target, gradient, static_cast<float>(args.gradient_scale));
        continue;
      }
      *loss = 0;
      if (gradient != nullptr)
        each_vec(vocab, [&](int64_t i, auto part) { store_operand(gradient + i, zero(), part); });
    }
  });
}

inline double sum_of_squares(const float* x, int64_t n) {
  DoubleSum sum;
  each_vec(n, [&](int64_t i, auto part) { sum.add_square(load(x + i, part)); });
  return sum.total();
}

inline double sum_of(const float* x, int64_t n) {
  DoubleSum sum;
  each_vec(n, [&](int64_t i, auto part) { sum.add(load(x + i, part)); });
  return sum.total();
}

// b^step by squaring.
inline double power(double b, int64_t step) {
  double result = 1;
  for (; step > 0; step >>= 1, b *= b)
    if ((step & 1) != 0) result *= b;
  return result;
}

inline void adamw(const AdamWArgs& args, int64_t begin, int64_t end) {
  float *p = row_of(args.p, 0) + begin, *m = row_of(args.m, 0) + begin, *v = row_of(args.v, 0) + begin;
  const float* g = row_of(args.g, 0) + begin;
  const auto f = [](double x) { return splat(static_cast<float>(x)); };
  const Vec beta1 = f(args.beta1), rest1 = f(1 - args.beta1), beta2 = f(args.beta2), rest2 = f(1 - args.beta2);
  const Vec correct1 = f(1 / (1 - power(args.beta1, args.step))), correct2 = f(1 / (1 - power(args.beta2, args.step)));
  const Vec grad_scale = f(args.grad_scale), eps = f(args.eps), lr = f(args.lr), decay = f(args.decay);
  each_vec(end - begin, [&](int64_t i, auto part) {
    const Vec grad = load(g + i, part) * grad_scale, old = load(p + i, part);
    const Vec m1 = fma(rest1, grad, beta1 * load(m + i, part));
    const Vec v1 = fma(rest2 * grad, grad, beta2 * load(v + i, part));
    store(m + i, m1, part);
    store(v + i, v1, part);
    const Vec update = fma(decay, old, m1 * correct1 / (sqrt(v1 * correct2) + eps));
    store(p + i, old - lr * update, part);
  });
}

}  // namespace
}  // namespace mfa
