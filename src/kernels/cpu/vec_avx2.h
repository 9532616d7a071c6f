// Vector primitives on AVX2 and FMA: 8 floats. Included by path_avx2.cpp alone, hence the unnamed namespace: nothing
// compiled for this instruction set may be merged by the linker with what another path compiled.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace mfa {
namespace {

constexpr int kLanes = 8;
constexpr int kTileRows = 6;  // 6 rows × 2 vectors: 12 accumulators, 2 vectors of B, 1 broadcast of A in 16 registers

struct Vec {
  __m256 v;
};
struct Full {};  // all lanes of a vector
struct Part {    // the first n lanes, 0 < n < kLanes; the others are neither read nor written
  int64_t n;
};

inline __m256i lane_mask(Part part) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(part.n)), lane);
}

inline Vec splat(float x) { return {_mm256_set1_ps(x)}; }
inline Vec zero() { return {_mm256_setzero_ps()}; }
inline Vec lane_numbers() { return {_mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7)}; }
inline Vec load(const float* p, Full = {}) { return {_mm256_loadu_ps(p)}; }
inline Vec load(const float* p, Part part) { return {_mm256_maskload_ps(p, lane_mask(part))}; }
inline void store(float* p, Vec x, Full = {}) { _mm256_storeu_ps(p, x.v); }
inline void store(float* p, Vec x, Part part) { _mm256_maskstore_ps(p, lane_mask(part), x.v); }
inline Vec keep(Vec x, Full, float) { return x; }
inline Vec keep(Vec x, Part part, float other) {
  return {_mm256_blendv_ps(_mm256_set1_ps(other), x.v, _mm256_castsi256_ps(lane_mask(part)))};
}

inline Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm256_div_ps(a.v, b.v)}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline Vec fms(Vec a, Vec b, Vec c) { return {_mm256_fmsub_ps(a.v, b.v, c.v)}; }  // a · b − c
// The second operand where either is NaN.
inline Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.v, b.v)}; }
inline Vec min(Vec a, Vec b) { return {_mm256_min_ps(a.v, b.v)}; }
inline Vec sqrt(Vec a) { return {_mm256_sqrt_ps(a.v)}; }
inline Vec round(Vec a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
// a < b ? x : y, false where NaN.
inline Vec select_less(Vec a, Vec b, Vec x, Vec y) {
  return {_mm256_blendv_ps(y.v, x.v, _mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ))};
}
// x · 2^n for whole n in [−127, 128]; 128 gives infinity, −127 zero.
inline Vec times_power_of_two(Vec x, Vec n) {
  const __m256i bits = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n.v), _mm256_set1_epi32(127)), 23);
  return x * Vec{_mm256_castsi256_ps(bits)};
}
// x, or −127 if that is more, as whole + rest, 0 ≤ rest < 1, for times_power_of_two.
struct WholeAndRest {
  Vec whole, rest;
};
inline WholeAndRest whole_and_rest(Vec x) {
  const Vec y = max(splat(-127), x), whole{_mm256_floor_ps(y.v)};
  return {whole, y - whole};
}
inline bool any_nan(Vec x) { return _mm256_movemask_ps(_mm256_cmp_ps(x.v, x.v, _CMP_UNORD_Q)) != 0; }

inline float horizontal_sum(Vec x) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(x.v), _mm256_extractf128_ps(x.v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
inline float horizontal_max(Vec x) {
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(x.v), _mm256_extractf128_ps(x.v, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
// Lane i is x[i]'s lanes joined, by an operation in which their order does not matter. x is used up.
template <class Join>
inline Vec join_lanes(Vec (&x)[kLanes], Join join) {
  for (int i = 0; i < 8; i += 2)
    x[i / 2] = join(Vec{_mm256_unpacklo_ps(x[i].v, x[i + 1].v)}, Vec{_mm256_unpackhi_ps(x[i].v, x[i + 1].v)});
  for (int i = 0; i < 4; i += 2)
    x[i / 2] = join(Vec{_mm256_shuffle_ps(x[i].v, x[i + 1].v, 0x44)}, Vec{_mm256_shuffle_ps(x[i].v, x[i + 1].v, 0xee)});
  return join(Vec{_mm256_permute2f128_ps(x[0].v, x[1].v, 0x20)}, Vec{_mm256_permute2f128_ps(x[0].v, x[1].v, 0x31)});
}

// Σ x² and Σ x in double, added to four lanes of doubles.
struct DoubleSum {
  __m256d low = _mm256_setzero_pd(), high = _mm256_setzero_pd();
  void add(Vec x) {
    low = _mm256_add_pd(low, _mm256_cvtps_pd(_mm256_castps256_ps128(x.v)));
    high = _mm256_add_pd(high, _mm256_cvtps_pd(_mm256_extractf128_ps(x.v, 1)));
  }
  void add_square(Vec x) {
    const __m256d a = _mm256_cvtps_pd(_mm256_castps256_ps128(x.v)), b = _mm256_cvtps_pd(_mm256_extractf128_ps(x.v, 1));
    low = _mm256_fmadd_pd(a, a, low);
    high = _mm256_fmadd_pd(b, b, high);
  }
  double total() const {
    double lanes[4];
    _mm256_storeu_pd(lanes, _mm256_add_pd(low, high));
    return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
  }
};

inline Vec load_bf16(const uint16_t* p, Full = {}) {
  const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(wide, 16))};
}
inline Vec load_bf16(const uint16_t* p, Part part) {
  alignas(16) uint16_t lanes[kLanes] = {};
  for (int64_t i = 0; i < part.n; ++i) lanes[i] = p[i];
  return load_bf16(lanes);
}
// 2·kLanes bf16 in the interleaved order of cache pages (kv_layout.h).
inline void load_bf16_pair(const uint16_t* p, Vec& first, Vec& second) {
  const __m256i both = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  first = {_mm256_castsi256_ps(_mm256_slli_epi32(both, 16))};
  second = {_mm256_castsi256_ps(_mm256_and_si256(both, _mm256_set1_epi32(static_cast<int>(0xffff0000u))))};
}

constexpr bool kBf16Products = false;  // no instruction for it
struct Bf16Pairs;
// p[0 … 3] = the sums of the lanes of a, b, c, d. Shuffles and adds: a horizontal add takes twice their time.
inline void store_sums(float* p, Vec a, Vec b, Vec c, Vec d) {
  const __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(a.v, b.v), _mm256_unpackhi_ps(a.v, b.v));  // a, b, a, b
  const __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(c.v, d.v), _mm256_unpackhi_ps(c.v, d.v));
  const __m256 quads = _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
  _mm_storeu_ps(p, _mm_add_ps(_mm256_castps256_ps128(quads), _mm256_extractf128_ps(quads, 1)));
}

// Lanes of 32-bit integers, or of pairs of 16-bit ones.
struct IntVec {
  __m256i v;
};
inline IntVec int_splat(int32_t x) { return {_mm256_set1_epi32(x)}; }
inline Vec to_float(IntVec x) { return {_mm256_cvtepi32_ps(x.v)}; }

// Products of 8-bit cache numbers, widened to 16 bits, with 16-bit queries and probabilities, two a lane and
// instruction.
struct Int8Products {  // see vec_avx512.h
  using Query = int16_t;
  using Weight = int16_t;
  static constexpr int64_t kTogether = 2;  // rows of a page that lie together
  static constexpr float kLargestQuery = 32767, kLargestWeight = 32767;
  static constexpr int32_t kKeyOffset = 0;

  static IntVec load(const int8_t* p) {
    return {_mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
  }
  static IntVec load_keys(const int8_t* p) { return load(p); }
  static IntVec splat(const int16_t* p) {
    int both;  // one broadcast from memory; two 16-bit loads and an or would make it the bottleneck
    __builtin_memcpy(&both, p, sizeof both);
    return {_mm256_set1_epi32(both)};
  }
  // sum + a₀b₀ + a₁b₁ of the pairs in each lane.
  // The empty asm keeps the sum in a register: g++ 12 else computes all products of a tile first and spills sums.
  static IntVec add(IntVec a, IntVec b, IntVec sum) {
    __m256i result = _mm256_add_epi32(sum.v, _mm256_madd_epi16(a.v, b.v));
    asm("" : "+x"(result));
    return {result};
  }
  // The nearest integers of numbers within ±32767.
  static void store(int16_t* p, Vec x) {
    const __m256i n = _mm256_cvtps_epi32(x.v);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                     _mm_packs_epi32(_mm256_castsi256_si128(n), _mm256_extracti128_si256(n, 1)));
  }
  static void store_four(Weight* p, const Vec* x) {
    for (int i = 0; i < 4; ++i) store(p + i * kLanes, x[i]);
  }
  // Of the pairs in each lane, number i.
  static Vec number(IntVec x, int i) {
    return to_float({_mm256_srai_epi32(i == 0 ? _mm256_slli_epi32(x.v, 16) : x.v, 16)});
  }
};

// To nearest, ties to even, NaN stays NaN; as an f32 whose lower half is zero.
inline Vec round_to_bf16(Vec x) {
  const __m256i u = _mm256_castps_si256(x.v);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i quiet = _mm256_or_si256(u, _mm256_set1_epi32(0x400000));
  const __m256 nan = _mm256_cmp_ps(x.v, x.v, _CMP_UNORD_Q);
  const __m256 bits = _mm256_blendv_ps(_mm256_castsi256_ps(rounded), _mm256_castsi256_ps(quiet), nan);
  return {_mm256_and_ps(bits, _mm256_castsi256_ps(_mm256_set1_epi32(static_cast<int>(0xffff0000u))))};
}
inline void store_bf16(uint16_t* p, Vec x, Full = {}) {
  const __m256i high = _mm256_srli_epi32(_mm256_castps_si256(round_to_bf16(x).v), 16);
  const __m128i packed = _mm_packus_epi32(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), packed);
}
inline void store_bf16(uint16_t* p, Vec x, Part part) {
  alignas(16) uint16_t lanes[kLanes];
  store_bf16(lanes, x);
  for (int64_t i = 0; i < part.n; ++i) p[i] = lanes[i];
}

}  // namespace
}  // namespace mfa
