// Vector primitives on AVX-512: 16 floats. Included by path_avx512.cpp alone (see vec_avx2.h for the namespace).
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace mfa {
namespace {

constexpr int kLanes = 16;
constexpr int kTileRows = 14;  // 14 rows × 2 vectors: 28 accumulators and 2 vectors of B in 32 registers

struct Vec {
  __m512 v;
};
struct Full {};  // all lanes of a vector
struct Part {    // the first n lanes, 0 < n < kLanes; the others are neither read nor written
  int64_t n;
};

inline __mmask16 lane_mask(Part part) { return static_cast<__mmask16>((1u << part.n) - 1u); }

inline Vec splat(float x) { return {_mm512_set1_ps(x)}; }
inline Vec zero() { return {_mm512_setzero_ps()}; }
inline Vec lane_numbers() { return {_mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)}; }
inline Vec load(const float* p, Full = {}) { return {_mm512_loadu_ps(p)}; }
inline Vec load(const float* p, Part part) { return {_mm512_maskz_loadu_ps(lane_mask(part), p)}; }
inline void store(float* p, Vec x, Full = {}) { _mm512_storeu_ps(p, x.v); }
inline void store(float* p, Vec x, Part part) { _mm512_mask_storeu_ps(p, lane_mask(part), x.v); }
inline Vec keep(Vec x, Full, float) { return x; }
inline Vec keep(Vec x, Part part, float other) {
  return {_mm512_mask_blend_ps(lane_mask(part), _mm512_set1_ps(other), x.v)};
}

inline Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline Vec fms(Vec a, Vec b, Vec c) { return {_mm512_fmsub_ps(a.v, b.v, c.v)}; }  // a · b − c
// The second operand where either is NaN. (The zero-masked forms avoid a false warning of g++ 12's header.)
inline Vec max(Vec a, Vec b) { return {_mm512_maskz_max_ps(0xffff, a.v, b.v)}; }
inline Vec min(Vec a, Vec b) { return {_mm512_maskz_min_ps(0xffff, a.v, b.v)}; }
inline Vec sqrt(Vec a) { return {_mm512_maskz_sqrt_ps(0xffff, a.v)}; }
inline Vec round(Vec a) {
  return {_mm512_maskz_roundscale_ps(0xffff, a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
// a < b ? x : y, false where NaN.
inline Vec select_less(Vec a, Vec b, Vec x, Vec y) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), y.v, x.v)};
}
// x · 2^⌊n⌋ for n in [−126, 128]; 128 gives infinity, far below zero.
inline Vec times_power_of_two(Vec x, Vec n) { return {_mm512_maskz_scalef_ps(0xffff, x.v, n.v)}; }
// x as whole + rest, 0 ≤ rest < 1, for times_power_of_two: it takes the floor itself, and −∞ for what it is.
struct WholeAndRest {
  Vec whole, rest;
};
inline WholeAndRest whole_and_rest(Vec x) { return {x, {_mm512_maskz_reduce_ps(0xffff, x.v, _MM_FROUND_TO_NEG_INF)}}; }
inline bool any_nan(Vec x) { return _mm512_cmp_ps_mask(x.v, x.v, _CMP_UNORD_Q) != 0; }

inline __m256 lower_half(Vec x) { return _mm512_maskz_extractf32x8_ps(0xff, x.v, 0); }
inline __m256 upper_half(Vec x) { return _mm512_maskz_extractf32x8_ps(0xff, x.v, 1); }
inline float horizontal_sum(Vec x) {
  const __m256 half = _mm256_add_ps(lower_half(x), upper_half(x));
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
inline float horizontal_max(Vec x) {
  const __m256 half = _mm256_max_ps(lower_half(x), upper_half(x));
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
// Lane i is x[i]'s lanes joined, by an operation in which their order does not matter. x is used up.
template <class Join>
inline Vec join_lanes(Vec (&x)[kLanes], Join join) {
  for (int i = 0; i < 16; i += 2)  // cheap shuffles first: numbers, pairs of numbers, then quarters of vectors
    x[i / 2] = join(Vec{_mm512_maskz_unpacklo_ps(0xffff, x[i].v, x[i + 1].v)},
                    Vec{_mm512_maskz_unpackhi_ps(0xffff, x[i].v, x[i + 1].v)});
  for (int i = 0; i < 8; i += 2)
    x[i / 2] = join(Vec{_mm512_maskz_shuffle_ps(0xffff, x[i].v, x[i + 1].v, 0x44)},
                    Vec{_mm512_maskz_shuffle_ps(0xffff, x[i].v, x[i + 1].v, 0xee)});
  for (int n = 4; n > 1; n /= 2)
    for (int i = 0; i < n; i += 2)
      x[i / 2] = join(Vec{_mm512_maskz_shuffle_f32x4(0xffff, x[i].v, x[i + 1].v, 0x88)},
                      Vec{_mm512_maskz_shuffle_f32x4(0xffff, x[i].v, x[i + 1].v, 0xdd)});
  return x[0];
}

// Σ x² and Σ x in double, added to lanes of doubles.
struct DoubleSum {
  __m512d low = _mm512_setzero_pd(), high = _mm512_setzero_pd();
  void add(Vec x) {
    low = _mm512_add_pd(low, _mm512_maskz_cvtps_pd(0xff, lower_half(x)));
    high = _mm512_add_pd(high, _mm512_maskz_cvtps_pd(0xff, upper_half(x)));
  }
  void add_square(Vec x) {
    const __m512d a = _mm512_maskz_cvtps_pd(0xff, lower_half(x)), b = _mm512_maskz_cvtps_pd(0xff, upper_half(x));
    low = _mm512_fmadd_pd(a, a, low);
    high = _mm512_fmadd_pd(b, b, high);
  }
  double total() const {
    double lanes[8];
    _mm512_storeu_pd(lanes, _mm512_add_pd(low, high));
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
  }
};

inline Vec bf16_to_f32(__m256i halves) {
  return {_mm512_castsi512_ps(_mm512_maskz_slli_epi32(0xffff, _mm512_maskz_cvtepu16_epi32(0xffff, halves), 16))};
}
inline Vec load_bf16(const uint16_t* p, Full = {}) {
  return bf16_to_f32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline Vec load_bf16(const uint16_t* p, Part part) { return bf16_to_f32(_mm256_maskz_loadu_epi16(lane_mask(part), p)); }
// 2·kLanes bf16 in the interleaved order of cache pages (kv_layout.h).
inline void load_bf16_pair(const uint16_t* p, Vec& first, Vec& second) {
  const __m512i both = _mm512_loadu_si512(p);
  first = {_mm512_castsi512_ps(_mm512_maskz_slli_epi32(0xffff, both, 16))};
  second = {_mm512_castsi512_ps(_mm512_and_si512(both, _mm512_set1_epi32(static_cast<int>(0xffff0000u))))};
}

// Products of bf16 numbers, summed in f32, two numbers a lane and instruction: twice the FLOPs of an FMA.
constexpr bool kBf16Products = true;
struct Bf16Pairs {  // see FloatOperands (vec_math.inl.h)
  using Number = uint16_t;
  static constexpr int64_t kTogether = 2;  // numbers of k in one step
  using Pair = __m512i;
  static Pair load(const uint16_t* p) { return _mm512_loadu_si512(p); }
  // For several uses: g++ 12 else loads for each of them.
  static Pair load_once(const uint16_t* p) {
    Pair x = load(p);
    asm("" : "+v"(x));
    return x;
  }
  static Pair load_first(const uint16_t* p) { return _mm512_and_si512(load(p), _mm512_set1_epi32(0xffff)); }
  static Pair splat(const uint16_t* p) {
    int both;
    __builtin_memcpy(&both, p, sizeof both);
    return _mm512_set1_epi32(both);
  }
  // sum + a₁b₁ + a₀b₀ of the pairs in each lane; denormals count as zero.
  static Vec add(Pair a, Pair b, Vec sum) {
    return {_mm512_dpbf16_ps(sum.v, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b))};
  }
  static Vec first(Pair x) { return {_mm512_castsi512_ps(_mm512_maskz_slli_epi32(0xffff, x, 16))}; }
  static Vec second(Pair x) {
    return {_mm512_castsi512_ps(_mm512_and_si512(x, _mm512_set1_epi32(static_cast<int>(0xffff0000u))))};
  }
  // x and y in bf16, numbers side by side; denormals become zero.
  static Pair join(Vec x, Vec y) { return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(y.v, x.v)); }
  // x_i, y_i of numbers side by side to the pair of lane i.
  static Pair interleave(Pair x) {
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,  //
                                           23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_maskz_permutexvar_epi16(~0u, order, x);
  }
  // Pair j of x[i] and pair i of x[j] change places.
  static void transpose(Pair (&x)[kLanes]) {
    for (int i = 0; i < kLanes; i += 4) {
      Pair a[4] = {_mm512_maskz_unpacklo_epi32(0xffff, x[i], x[i + 1]),
                   _mm512_maskz_unpackhi_epi32(0xffff, x[i], x[i + 1]),
                   _mm512_maskz_unpacklo_epi32(0xffff, x[i + 2], x[i + 3]),
                   _mm512_maskz_unpackhi_epi32(0xffff, x[i + 2], x[i + 3])};
      interleave_slices(a[0], a[2]);
      interleave_slices(a[1], a[3]);
      x[i] = a[0], x[i + 1] = a[2], x[i + 2] = a[1], x[i + 3] = a[3];
    }
    for (int i = 0; i < 4; ++i) {  // quarters q of x[i], x[i + 4], x[i + 8] and x[i + 12] are x[i + 4 q]
      Pair low[2], high[2];
      split_halves(x[i], x[i + 4], low[0], high[0]);
      split_halves(x[i + 8], x[i + 12], low[1], high[1]);
      split_quarters(low[0], low[1], x[i], x[i + 4]);
      split_quarters(high[0], high[1], x[i + 8], x[i + 12]);
    }
  }
  // p[2i], p[2i + 1] = x_i, y_i in bf16; denormals become zero.
  static void store_pairs(uint16_t* p, Vec x, Vec y) { store(p, interleave(join(x, y))); }
  // The first and the second half of numbers side by side.
  static void store_halves(uint16_t* p, uint16_t* q, Pair x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_maskz_extracti64x4_epi64(0xf, x, 0));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(q), _mm512_maskz_extracti64x4_epi64(0xf, x, 1));
  }
  static void store(uint16_t* p, Pair x) { _mm512_storeu_si512(p, x); }
  // One vector in bf16; denormals become zero.
  static void store_rounded(uint16_t* p, Vec x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x.v)));
  }
  // (a₀, a₁) and (b₀, b₁) of each lane to (a₀, b₀), and to (a₁, b₁).
  static Pair firsts(Pair a, Pair b) {
    return _mm512_mask_blend_epi16(kHigh, a, _mm512_maskz_slli_epi32(0xffff, b, 16));
  }
  static Pair seconds(Pair a, Pair b) {
    return _mm512_mask_blend_epi16(kHigh, _mm512_maskz_srli_epi32(0xffff, a, 16), b);
  }
  static constexpr __mmask32 kHigh = 0xaaaaaaaau;
  // (cos, −sin) to (sin, cos). By bytes: a rotation of 32 bits takes a turn of the multiplier (Zen 4).
  static Pair quarter_turn(Pair x) {
    const __m512i swapped =
        _mm512_maskz_broadcast_i32x4(0xffff, _mm_setr_epi8(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
    return _mm512_xor_si512(_mm512_maskz_shuffle_epi8(~0ull, x, swapped), _mm512_set1_epi32(0x8000));
  }
  // The first halves of a and b, and the second halves.
  static void split_halves(Pair a, Pair b, Pair& first, Pair& second) {
    first = _mm512_maskz_shuffle_i32x4(0xffff, a, b, 0x44);
    second = _mm512_maskz_shuffle_i32x4(0xffff, a, b, 0xee);
  }
  // The second half of a, then the first of b.
  static Pair across(Pair a, Pair b) { return _mm512_maskz_shuffle_i32x4(0xffff, a, b, 0x4e); }
  // Quarters 0 and 2 of a and b, and quarters 1 and 3.
  static void split_quarters(Pair a, Pair b, Pair& even, Pair& odd) {
    even = _mm512_maskz_shuffle_i32x4(0xffff, a, b, 0x88);
    odd = _mm512_maskz_shuffle_i32x4(0xffff, a, b, 0xdd);
  }
  // A slice of a vector: two of its pairs. To splat 64 bits is part of the load; of 128 bits it is a shuffle (Zen 5).
  static constexpr int kSlices = 8;
  static Pair splat_slice(const uint16_t* p) {
    long long slice;
    __builtin_memcpy(&slice, p, sizeof slice);
    return _mm512_set1_epi64(slice);
  }
  // Slices 2l of a and of b in quarter l, and slices 2l + 1.
  static void interleave_slices(Pair& a, Pair& b) {
    const Pair even = _mm512_maskz_unpacklo_epi64(0xff, a, b);
    b = _mm512_maskz_unpackhi_epi64(0xff, a, b);
    a = even;
  }
  // p[4l + 2j + i] = the sum of slice 2l + i of x[j].
  static void store_slice_sums(float* p, const Vec (&x)[2]) {
    const __m512 first = _mm512_maskz_shuffle_ps(0xffff, x[0].v, x[1].v, 0x88);
    const __m512 second = _mm512_maskz_shuffle_ps(0xffff, x[0].v, x[1].v, 0xdd);
    _mm512_storeu_ps(p, _mm512_add_ps(first, second));
  }
};
// p[0 … 3] = the sums of the lanes of a, b, c, d.
inline void store_sums(float* p, Vec a, Vec b, Vec c, Vec d) {
  const auto fold = [](Vec x) { return _mm256_add_ps(lower_half(x), upper_half(x)); };
  const __m256 quads = _mm256_hadd_ps(_mm256_hadd_ps(fold(a), fold(b)), _mm256_hadd_ps(fold(c), fold(d)));
  _mm_storeu_ps(p, _mm_add_ps(_mm256_castps256_ps128(quads), _mm256_extractf128_ps(quads, 1)));
}

// Lanes of 32-bit integers, or of four of 8 bits.
struct IntVec {
  __m512i v;
};
inline IntVec int_splat(int32_t x) { return {_mm512_set1_epi32(x)}; }
inline Vec to_float(IntVec x) { return {_mm512_maskz_cvtepi32_ps(0xffff, x.v)}; }

// Products of 8-bit cache numbers with 8-bit queries and probabilities, four a lane and instruction: twice those of
// bf16. The instruction wants one operand without sign: keys get 128 added, which costs a query's sum times that.
struct Int8Products {
  using Query = int8_t;
  using Weight = uint8_t;
  static constexpr int64_t kTogether = 4;  // rows of a page that lie together
  static constexpr float kLargestQuery = 127, kLargestWeight = 255;
  static constexpr int32_t kKeyOffset = 128;

  static IntVec load(const int8_t* p) { return {_mm512_loadu_si512(p)}; }
  static IntVec load_keys(const int8_t* p) {
    return {_mm512_xor_si512(load(p).v, _mm512_set1_epi8(static_cast<char>(0x80)))};
  }
  template <class Number>
  static IntVec splat(const Number* p) {
    int four;  // one broadcast from memory
    __builtin_memcpy(&four, p, sizeof four);
    return {_mm512_set1_epi32(four)};
  }
  // sum + Σ a_i b_i of the four in each lane, a without sign.
  // The empty asm keeps the sum in a register: g++ 12 else copies the sums of a tile about, and stores each in memory.
  static IntVec add(IntVec a, IntVec b, IntVec sum) {
    __m512i result = _mm512_dpbusd_epi32(sum.v, a.v, b.v);
    asm("" : "+v"(result));
    return {result};
  }
  // The nearest integers of numbers within ±kLargestQuery, of numbers from 0 to kLargestWeight.
  static void store(Query* p, Vec x) {
    const __m512i n = _mm512_maskz_cvtps_epi32(0xffff, x.v);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_maskz_cvtsepi32_epi8(0xffff, n));
  }
  static void store(Weight* p, Vec x) {
    const __m512i n = _mm512_maskz_cvtps_epi32(0xffff, x.v);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_maskz_cvtusepi32_epi8(0xffff, n));
  }
  // p[0 … 4·kLanes) of x[0 … 4).
  static void store_four(Weight* p, const Vec* x) {
    __m512i n[4];
    for (int i = 0; i < 4; ++i) n[i] = _mm512_maskz_cvtps_epi32(0xffff, x[i].v);
    // Packing works in quarters of a vector: what it leaves is [quarter][vector][4].
    const __m512i packed = _mm512_packus_epi16(_mm512_packs_epi32(n[0], n[1]), _mm512_packs_epi32(n[2], n[3]));
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_storeu_si512(p, _mm512_maskz_permutexvar_epi32(0xffff, order, packed));
  }
  // Of the four in each lane, number i.
  static Vec number(IntVec x, int i) {
    const __m512i at_top = _mm512_maskz_sllv_epi32(0xffff, x.v, _mm512_set1_epi32(24 - 8 * i));
    return to_float({_mm512_maskz_srai_epi32(0xffff, at_top, 24)});
  }
};

// To nearest, ties to even, NaN stays NaN; as an f32 whose lower half is zero. By integers and not by vcvtneps2bf16,
// which takes denormals for zero: the paths then round alike.
inline Vec round_to_bf16(Vec x) {
  const __m512i u = _mm512_castps_si512(x.v);
  const __m512i odd = _mm512_and_si512(_mm512_maskz_srli_epi32(0xffff, u, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __m512i quiet = _mm512_or_si512(u, _mm512_set1_epi32(0x400000));
  const __mmask16 nan = _mm512_cmp_ps_mask(x.v, x.v, _CMP_UNORD_Q);
  const __m512i bits = _mm512_mask_blend_epi32(nan, rounded, quiet);
  return {_mm512_castsi512_ps(_mm512_and_si512(bits, _mm512_set1_epi32(static_cast<int>(0xffff0000u))))};
}
inline __m256i bf16_bits(Vec x) {
  return _mm512_maskz_cvtepi32_epi16(0xffff,
                                     _mm512_maskz_srli_epi32(0xffff, _mm512_castps_si512(round_to_bf16(x).v), 16));
}
inline void store_bf16(uint16_t* p, Vec x, Full = {}) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), bf16_bits(x));
}
inline void store_bf16(uint16_t* p, Vec x, Part part) { _mm256_mask_storeu_epi16(p, lane_mask(part), bf16_bits(x)); }

}  // namespace
}  // namespace mfa
