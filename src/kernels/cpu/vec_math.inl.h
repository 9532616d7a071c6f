// What every algorithm needs on top of the primitives: exp, loops with a tail, row pointers.
//
// Rule of all *.inl.h: they call nothing inline or templated from outside this folder (no std::min, no Tensor::row),
// but what has internal linkage (kernels/hadamard.h).
// Such a function would be compiled for this path's instruction set and might then be the one copy that the linker
// keeps for the whole program.
#pragma once

#include <cstdint>

#include "base/tensor.h"

namespace mfa {
namespace {

constexpr float kMinusInfinity = -__builtin_inff();
constexpr float kLog2E = 1.44269504088896341f;

constexpr int64_t min_of(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t max_of(int64_t a, int64_t b) { return a > b ? a : b; }
inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

// What a product reads, as a template's argument: f32 numbers, or Bf16Pairs (vec_*.h), where B is [k / 2][n][2] and A
// has the two numbers of a pair side by side.
struct FloatOperands {
  using Number = float;
  static constexpr int64_t kTogether = 1;  // numbers of k in one step
  static Vec load(const float* b) { return mfa::load(b); }
  static Vec splat(const float* a) { return mfa::splat(*a); }
  static Vec add(Vec a, Vec b, Vec sum) { return fma(a, b, sum); }
};

template <class T>
inline T* row_as(const Tensor& t, int64_t r) {
  return reinterpret_cast<T*>(t.data) + r * t.stride;
}
inline float* row_of(const Tensor& t, int64_t r) { return row_as<float>(t, r); }
inline const int32_t* ids_of(const Tensor& t) { return reinterpret_cast<const int32_t*>(t.data); }

// Numbers of an operand: f32, or rounded to bf16.
template <class P>
inline Vec load_operand(const float* p, P part) {
  return load(p, part);
}
template <class P>
inline Vec load_operand(const uint16_t* p, P part) {
  return load_bf16(p, part);
}
template <class P>
inline void store_operand(float* p, Vec x, P part) {
  store(p, x, part);
}
template <class P>
inline void store_operand(uint16_t* p, Vec x, P part) {
  store_bf16(p, x, part);
}
// f of a null pointer to the type of t's numbers.
template <class F>
inline void with_operand(const Tensor& t, F f) {
  t.type == DType::bf16 ? f(static_cast<uint16_t*>(nullptr)) : f(static_cast<float*>(nullptr));
}

// f(i, Full) for each whole vector of [0, n), then f(i, Part) for the rest.
template <class F>
inline void each_vec(int64_t n, F f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) f(i, Full{});
  if (i < n) f(i, Part{n - i});
}

// e^x within 2 units in the last place (relative 2e-7) on [−87.3, 88.3]; 0 below, +inf above, NaN stays.
// x = n ln 2 + r, |r| ≤ ln 2 / 2, with ln 2 in two pieces so that n ln 2 is exact; then a polynomial of degree 6 whose
// error, r^7 / 7!, is below 1.2e-7.
inline Vec exp(Vec x) {
  const Vec low = splat(-87.33654f), high = splat(88.8f);
  const Vec clamped = max(low, min(high, x));
  const Vec n = round(clamped * splat(kLog2E));
  Vec r = fma(n, splat(-0.693359375f), clamped);
  r = fma(n, splat(2.12194440e-4f), r);
  Vec p = fma(splat(1.9875691500e-4f), r, splat(1.3981999507e-3f));
  p = fma(p, r, splat(8.3334519073e-3f));
  p = fma(p, r, splat(4.1665795894e-2f));
  p = fma(p, r, splat(1.6666665459e-1f));
  p = fma(p, r, splat(5.0000001201e-1f));
  p = fma(p, r * r, r + splat(1.0f));
  return select_less(x, low, zero(), times_power_of_two(p, n));
}

// 2^x for numbers that are rounded to bf16 or to integers of 16 bits afterwards, where a rounding is 2e-3:
// within 3.2e-6 of it, relatively, on [−126, 128); 0 far below, NaN stays. x = n + r with whole n, 0 ≤ r < 1, and 2^r
// to degree 4 with the least largest relative error that leaves 2^0 what it is, 2.9e-6.
inline Vec exp2_to_round(Vec x) {
  const auto [n, r] = whole_and_rest(x);
  Vec p = fma(splat(0.0134266838f), r, splat(0.0522424728f));
  p = fma(p, r, splat(0.241280198f));
  p = fma(p, r, splat(0.693044841f));
  p = fma(p, r, splat(1.0f));
  return times_power_of_two(p, n);
}

// e^x to be rounded; e^0 is 1.
inline Vec exp_to_round(Vec x) { return exp2_to_round(x * splat(kLog2E)); }
// e^(x − y) to be rounded, given −y log2 e. That product's rounding is a factor common to all x, off by at most |y|
// 2^-24, as a logit of that size is. Of the operations five go to the units that multiply and four turns to those that
// add; with a subtraction and a product, the latter would be the bound (1.2 × the time, Zen 5).
inline Vec exp_to_round(Vec x, Vec minus_y_log2e) { return exp2_to_round(fma(x, splat(kLog2E), minus_y_log2e)); }

inline Vec sigmoid(Vec x) { return splat(1.0f) / (splat(1.0f) + exp(zero() - x)); }

}  // namespace
}  // namespace mfa
