// The one register-tiled product, C[m × n] (+)= A[m × k] · B[k × n], that attention and the loop GEMM are made of: of
// f32 numbers, or of bf16 ones, two of k a step, where the path multiplies them.
//
// A is read by broadcast with two strides, so that A or A^T serve alike; B and C are row-major, n a multiple of the
// vector width. kTileRows × 2 vectors of C stay in registers along all of k: kTileRows·2 FMAs for kTileRows + 2 loads.
// Each number of C is one chain of FMAs along k, whatever m and n: results do not depend on how rows are grouped.
// Slow for k < 16 (C is loaded and stored once a call) and for B above the L2 cache.
#pragma once

#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/vec_math.inl.h"

namespace mfa {
namespace {

template <int M, int N, class Operands>
inline void tile(int64_t steps, const typename Operands::Number* a, int64_t a_row, int64_t a_step,
                 const typename Operands::Number* b, int64_t b_step, float* c, int64_t c_row, bool add) {
  Vec sum[M][N];
#pragma GCC unroll 14  // or g++ 12 clears one column of sums with memset, and then stores each sum at each step
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < N; ++j) sum[i][j] = add ? load(c + i * c_row + j * kLanes) : zero();
  for (int64_t p = 0; p < steps; ++p) {
    decltype(Operands::load(b)) bv[N];
    for (int j = 0; j < N; ++j) bv[j] = Operands::load(b + j * Operands::kTogether * kLanes);
#pragma GCC unroll 14
    for (int i = 0; i < M; ++i) {
      const auto av = Operands::splat(a + i * a_row);
      for (int j = 0; j < N; ++j) sum[i][j] = Operands::add(av, bv[j], sum[i][j]);
    }
    a += a_step;
    b += b_step;
  }
#pragma GCC unroll 14
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < N; ++j) store(c + i * c_row + j * kLanes, sum[i][j]);
}

template <int M, class Operands>
inline void strip_of(int64_t n, int64_t steps, const typename Operands::Number* a, int64_t a_row, int64_t a_step,
                     const typename Operands::Number* b, int64_t b_step, float* c, int64_t c_row, bool add) {
  constexpr int64_t kWide = Operands::kTogether;
  int64_t j = 0;
  for (; j + 2 * kLanes <= n; j += 2 * kLanes)
    tile<M, 2, Operands>(steps, a, a_row, a_step, b + j * kWide, b_step, c + j, c_row, add);
  if (j < n) tile<M, 1, Operands>(steps, a, a_row, a_step, b + j * kWide, b_step, c + j, c_row, add);
}

// 1 ≤ m ≤ kTileRows rows, `steps` of Operands::kTogether numbers of k. Strides in numbers; a_step and b_step are a
// step's.
template <class Operands = FloatOperands, int M = kTileRows>
inline void strip(int64_t m, int64_t n, int64_t steps, const typename Operands::Number* a, int64_t a_row,
                  int64_t a_step, const typename Operands::Number* b, int64_t b_step, float* c, int64_t c_row,
                  bool add) {
  if (m == M) {
    strip_of<M, Operands>(n, steps, a, a_row, a_step, b, b_step, c, c_row, add);
  } else if constexpr (M > 1) {
    strip<Operands, M - 1>(m, n, steps, a, a_row, a_step, b, b_step, c, c_row, add);
  }
}

inline void tile_product(const TileProduct& t) {
  for (int64_t i = 0; i < t.m; i += kTileRows)
    strip(min_of(kTileRows, t.m - i), t.n, t.k, t.a + i * t.a_row, t.a_row, t.a_k, t.b, t.b_row, t.c + i * t.c_row,
          t.c_row, t.add);
}

}  // namespace
}  // namespace mfa
