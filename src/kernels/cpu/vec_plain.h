// Vector primitives for any CPU: 4 floats as the compiler's own vector type, which it maps to SSE2, NEON or scalars.
// Included by path_plain.cpp alone (see vec_avx2.h for the namespace).
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace mfa {
namespace {

constexpr int kLanes = 4;
constexpr int kTileRows = 4;  // 4 rows × 2 vectors: 8 accumulators in 16 registers

typedef float Float4 __attribute__((vector_size(16)));
typedef int32_t Int4 __attribute__((vector_size(16)));
typedef uint32_t UInt4 __attribute__((vector_size(16)));

struct Vec {
  Float4 v;
};
struct Full {};  // all lanes of a vector
struct Part {    // the first n lanes, 0 < n < kLanes; the others are neither read nor written
  int64_t n;
};

inline Float4 choose(Int4 condition, Float4 x, Float4 y) {
  return reinterpret_cast<Float4>((reinterpret_cast<Int4>(x) & condition) | (reinterpret_cast<Int4>(y) & ~condition));
}

inline Vec splat(float x) { return {Float4{x, x, x, x}}; }
inline Vec zero() { return splat(0); }
inline Vec lane_numbers() { return {Float4{0, 1, 2, 3}}; }
inline Vec load(const float* p, Full = {}) {
  Vec x;
  std::memcpy(&x, p, sizeof x);
  return x;
}
inline Vec load(const float* p, Part part) {
  Vec x = zero();
  for (int64_t i = 0; i < part.n; ++i) x.v[i] = p[i];
  return x;
}
inline void store(float* p, Vec x, Full = {}) { std::memcpy(p, &x, sizeof x); }
inline void store(float* p, Vec x, Part part) {
  for (int64_t i = 0; i < part.n; ++i) p[i] = x.v[i];
}
inline Vec keep(Vec x, Full, float) { return x; }
inline Vec keep(Vec x, Part part, float other) {
  for (int64_t i = part.n; i < kLanes; ++i) x.v[i] = other;
  return x;
}

inline Vec operator+(Vec a, Vec b) { return {a.v + b.v}; }
inline Vec operator-(Vec a, Vec b) { return {a.v - b.v}; }
inline Vec operator*(Vec a, Vec b) { return {a.v * b.v}; }
inline Vec operator/(Vec a, Vec b) { return {a.v / b.v}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {a.v * b.v + c.v}; }
inline Vec fms(Vec a, Vec b, Vec c) { return {a.v * b.v - c.v}; }  // a · b − c
// The second operand where either is NaN.
inline Vec max(Vec a, Vec b) { return {choose(a.v > b.v, a.v, b.v)}; }
inline Vec min(Vec a, Vec b) { return {choose(a.v < b.v, a.v, b.v)}; }
inline Vec sqrt(Vec a) {
  for (int i = 0; i < kLanes; ++i) a.v[i] = __builtin_sqrtf(a.v[i]);
  return a;
}
// Adding 1.5 · 2^23 leaves no bits for a fraction; right for |a| < 2^22, which is all that exp needs.
inline Vec round(Vec a) {
  const Vec magic = splat(12582912.0f);
  return a + magic - magic;
}
// a < b ? x : y, false where NaN.
inline Vec select_less(Vec a, Vec b, Vec x, Vec y) { return {choose(a.v < b.v, x.v, y.v)}; }
// x · 2^n for whole n in [−127, 128]; 128 gives infinity, −127 zero.
inline Vec times_power_of_two(Vec x, Vec n) {
  // A NaN has no integer: it takes exponent 0, and x, which is then NaN too, stays so.
  const Float4 whole = choose(n.v == n.v, n.v, Float4{});
  return {x.v * reinterpret_cast<Float4>((__builtin_convertvector(whole, Int4) + 127) << 23)};
}
// x, or −127 if that is more, as whole + rest, 0 ≤ rest < 1, for times_power_of_two.
struct WholeAndRest {
  Vec whole, rest;
};
inline WholeAndRest whole_and_rest(Vec x) {
  const Vec y = max(splat(-127), x), near = round(y), whole = select_less(y, near, near - splat(1), near);
  return {whole, y - whole};
}
inline bool any_nan(Vec x) {
  const Int4 equal = x.v == x.v;
  return (equal[0] & equal[1] & equal[2] & equal[3]) == 0;
}

inline float horizontal_sum(Vec x) { return (x.v[0] + x.v[2]) + (x.v[1] + x.v[3]); }
inline float horizontal_max(Vec x) {
  const float a = x.v[0] > x.v[2] ? x.v[0] : x.v[2], b = x.v[1] > x.v[3] ? x.v[1] : x.v[3];
  return a > b ? a : b;
}
// Lane i is x[i]'s lanes joined, by an operation in which their order does not matter. x is used up.
template <class Join>
inline Vec join_lanes(Vec (&x)[kLanes], Join join) {
  const auto pair = [&](Vec a, Vec b) {
    return join(Vec{__builtin_shufflevector(a.v, b.v, 0, 4, 1, 5)}, Vec{__builtin_shufflevector(a.v, b.v, 2, 6, 3, 7)});
  };
  const Vec first = pair(x[0], x[1]), second = pair(x[2], x[3]);  // 0, 1, 0, 1 and 2, 3, 2, 3
  return join(Vec{__builtin_shufflevector(first.v, second.v, 0, 1, 4, 5)},
              Vec{__builtin_shufflevector(first.v, second.v, 2, 3, 6, 7)});
}

// Σ x² and Σ x in double.
struct DoubleSum {
  double lanes[kLanes] = {};
  void add(Vec x) {
    for (int i = 0; i < kLanes; ++i) lanes[i] += static_cast<double>(x.v[i]);
  }
  void add_square(Vec x) {
    for (int i = 0; i < kLanes; ++i) lanes[i] += static_cast<double>(x.v[i]) * static_cast<double>(x.v[i]);
  }
  double total() const { return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]); }
};

inline Vec load_bf16(const uint16_t* p, Full = {}) {
  return {reinterpret_cast<Float4>(UInt4{p[0], p[1], p[2], p[3]} << 16)};
}
inline Vec load_bf16(const uint16_t* p, Part part) {
  uint16_t lanes[kLanes] = {};
  for (int64_t i = 0; i < part.n; ++i) lanes[i] = p[i];
  return load_bf16(lanes);
}
// 2·kLanes bf16 in the interleaved order of cache pages (kv_layout.h).
inline void load_bf16_pair(const uint16_t* p, Vec& first, Vec& second) {
  first = {reinterpret_cast<Float4>(UInt4{p[0], p[2], p[4], p[6]} << 16)};
  second = {reinterpret_cast<Float4>(UInt4{p[1], p[3], p[5], p[7]} << 16)};
}

// Products of bf16 numbers, summed in f32: no gain here, but so the algorithms made for them are tested anywhere.
constexpr bool kBf16Products = true;
struct Bf16Pairs {  // see FloatOperands (vec_math.inl.h)
  using Number = uint16_t;
  static constexpr int64_t kTogether = 2;  // numbers of k in one step
  struct Pair {
    Vec first, second;
  };
  static Pair load(const uint16_t* p) {
    Pair x;
    load_bf16_pair(p, x.first, x.second);
    return x;
  }
  static Pair load_once(const uint16_t* p) { return load(p); }
  static Pair load_first(const uint16_t* p) { return {load(p).first, zero()}; }
  static Pair splat(const uint16_t* p) {
    const uint16_t first[] = {p[0], p[0], p[0], p[0]}, second[] = {p[1], p[1], p[1], p[1]};
    return {load_bf16(first), load_bf16(second)};
  }
  // sum + a₁b₁ + a₀b₀ of the pairs in each lane.
  static Vec add(Pair a, Pair b, Vec sum) { return fma(a.first, b.first, fma(a.second, b.second, sum)); }
  static Vec first(Pair x) { return x.first; }
  static Vec second(Pair x) { return x.second; }
  static Pair join(Vec x, Vec y);
  static void store(uint16_t* p, Pair x) { store_pairs(p, x.first, x.second); }
  static void store_rounded(uint16_t* p, Vec x);
  static void store_pairs(uint16_t* p, Vec x, Vec y);
  // x_i, y_i of numbers side by side to the pair of lane i.
  static Pair interleave(Pair x) {
    return {lanes<0, 4, 1, 5>(x.first, x.second), lanes<2, 6, 3, 7>(x.first, x.second)};
  }
  // Pair j of x[i] and pair i of x[j] change places.
  static void transpose(Pair (&x)[kLanes]) {
    const auto swap = [](Float4& a, int i, Float4& b, int j) {
      const float moved = a[i];
      a[i] = b[j], b[j] = moved;
    };
    for (int i = 0; i < kLanes; ++i)
      for (int j = 0; j < i; ++j) {
        swap(x[i].first.v, j, x[j].first.v, i);
        swap(x[i].second.v, j, x[j].second.v, i);
      }
  }
  // The first and the second half of numbers side by side.
  static void store_halves(uint16_t* p, uint16_t* q, Pair x) {
    uint16_t both[2 * kLanes];
    store(both, x);
    __builtin_memcpy(p, both, sizeof both / 2);
    __builtin_memcpy(q, both + kLanes, sizeof both / 2);
  }
  // (a₀, a₁) and (b₀, b₁) of each lane to (a₀, b₀), and to (a₁, b₁).
  static Pair firsts(Pair a, Pair b) { return {a.first, b.first}; }
  static Pair seconds(Pair a, Pair b) { return {a.second, b.second}; }
  // (cos, −sin) to (sin, cos).
  static Pair quarter_turn(Pair x) { return {zero() - x.second, x.first}; }
  // The first halves of a and b, and the second halves.
  static void split_halves(Pair a, Pair b, Pair& first, Pair& second) {
    static_assert(kLanes == 4);
    first = {lanes<0, 1, 4, 5>(a.first, b.first), lanes<0, 1, 4, 5>(a.second, b.second)};
    second = {lanes<2, 3, 6, 7>(a.first, b.first), lanes<2, 3, 6, 7>(a.second, b.second)};
  }
  // The second half of a, then the first of b.
  static Pair across(Pair a, Pair b) {
    return {lanes<2, 3, 4, 5>(a.first, b.first), lanes<2, 3, 4, 5>(a.second, b.second)};
  }
  // Quarters (lanes) 0 and 2 of a and b, and quarters 1 and 3.
  static void split_quarters(Pair a, Pair b, Pair& even, Pair& odd) {
    even = {lanes<0, 2, 4, 6>(a.first, b.first), lanes<0, 2, 4, 6>(a.second, b.second)};
    odd = {lanes<1, 3, 5, 7>(a.first, b.first), lanes<1, 3, 5, 7>(a.second, b.second)};
  }
  template <int... kFrom>
  static Vec lanes(Vec a, Vec b) {
    return {__builtin_shufflevector(a.v, b.v, kFrom...)};
  }
  // A slice of a vector is a pair, and a quarter.
  static constexpr int kSlices = 4;
  static Pair splat_slice(const uint16_t* p) { return splat(p); }
  static void interleave_slices(Pair&, Pair&) {}
  // p[4l + j] = slice l of x[j].
  static void store_slice_sums(float* p, const Vec (&x)[4]) {
    static_assert(kLanes == 4);
    for (int l = 0; l < 4; ++l)
      for (int j = 0; j < 4; ++j) p[4 * l + j] = x[j].v[l];
  }
};
// p[0 … 3] = the sums of the lanes of a, b, c, d.
inline void store_sums(float* p, Vec a, Vec b, Vec c, Vec d) {
  p[0] = horizontal_sum(a), p[1] = horizontal_sum(b), p[2] = horizontal_sum(c), p[3] = horizontal_sum(d);
}

// Lanes of 32-bit integers, or (as four vectors of them) of four of 8 bits.
struct IntVec {
  Int4 v[4];
};
inline IntVec int_splat(int32_t x) { return {{Int4{x, x, x, x}}}; }
inline Vec to_float(IntVec x) { return {__builtin_convertvector(x.v[0], Float4)}; }

// Products of 8-bit numbers, with the roundings and the layout of the avx512 path.
struct Int8Products {  // see vec_avx512.h
  using Query = int8_t;
  using Weight = uint8_t;
  static constexpr int64_t kTogether = 4;  // rows of a page that lie together
  static constexpr float kLargestQuery = 127, kLargestWeight = 255;
  static constexpr int32_t kKeyOffset = 128;

  static IntVec load(const int8_t* p) {
    IntVec x;
    for (int i = 0; i < 4; ++i) x.v[i] = Int4{p[i], p[4 + i], p[8 + i], p[12 + i]};
    return x;
  }
  static IntVec load_keys(const int8_t* p) {
    IntVec x = load(p);
    for (Int4& numbers : x.v) numbers += kKeyOffset;
    return x;
  }
  template <class Number>
  static IntVec splat(const Number* p) {
    IntVec x;
    for (int i = 0; i < 4; ++i) x.v[i] = Int4{p[i], p[i], p[i], p[i]};
    return x;
  }
  // sum + Σ a_i b_i of the four in each lane.
  static IntVec add(IntVec a, IntVec b, IntVec sum) {
    for (int i = 0; i < 4; ++i) sum.v[0] += a.v[i] * b.v[i];
    return sum;
  }
  // The nearest integers of numbers within ±kLargestQuery, of numbers from 0 to kLargestWeight.
  template <class Number>
  static void store(Number* p, Vec x) {
    const Int4 n = __builtin_convertvector(round(x).v, Int4);
    for (int i = 0; i < kLanes; ++i) p[i] = static_cast<Number>(n[i]);
  }
  static void store_four(Weight* p, const Vec* x) {
    for (int i = 0; i < 4; ++i) store(p + i * kLanes, x[i]);
  }
  // Of the four in each lane, number i.
  static Vec number(IntVec x, int i) { return {__builtin_convertvector(x.v[i], Float4)}; }
};

// To nearest, ties to even, NaN stays NaN; as an f32 whose lower half is zero.
inline Vec round_to_bf16(Vec x) {
  const UInt4 u = reinterpret_cast<UInt4>(x.v);
  const UInt4 rounded = u + (((u >> 16) & 1u) + 0x7fffu), quiet = u | 0x400000u;
  const Float4 bits = choose(x.v == x.v, reinterpret_cast<Float4>(rounded), reinterpret_cast<Float4>(quiet));
  return {reinterpret_cast<Float4>(reinterpret_cast<UInt4>(bits) & 0xffff0000u)};
}
inline void store_bf16(uint16_t* p, Vec x, Full = {}) {
  const UInt4 u = reinterpret_cast<UInt4>(round_to_bf16(x).v) >> 16;
  for (int i = 0; i < kLanes; ++i) p[i] = static_cast<uint16_t>(u[i]);
}
inline void store_bf16(uint16_t* p, Vec x, Part part) {
  const UInt4 u = reinterpret_cast<UInt4>(round_to_bf16(x).v) >> 16;
  for (int64_t i = 0; i < part.n; ++i) p[i] = static_cast<uint16_t>(u[i]);
}
// x and y in bf16, numbers side by side.
inline Bf16Pairs::Pair Bf16Pairs::join(Vec x, Vec y) {
  uint16_t numbers[2 * kLanes];
  store_bf16(numbers, x);
  store_bf16(numbers + kLanes, y);
  return load(numbers);
}
// p[2i], p[2i + 1] = x_i, y_i in bf16.
inline void Bf16Pairs::store_rounded(uint16_t* p, Vec x) { store_bf16(p, x); }
inline void Bf16Pairs::store_pairs(uint16_t* p, Vec x, Vec y) {
  uint16_t first[kLanes], second[kLanes];
  store_bf16(first, x);
  store_bf16(second, y);
  for (int i = 0; i < kLanes; ++i) p[2 * i] = first[i], p[2 * i + 1] = second[i];
}

}  // namespace
}  // namespace mfa
