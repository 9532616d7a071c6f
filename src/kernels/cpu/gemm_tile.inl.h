// The one register-tiled product, C[m × n] (+)= A[m × k] · B[k × n] in f32, that attention and the loop GEMM are made
// of.
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

template <int M, int N>
inline void tile(int64_t k, const float* a, int64_t a_row, int64_t a_k, const float* b, int64_t b_row, float* c,
                 int64_t c_row, bool add) {
  Vec sum[M][N];
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < N; ++j) sum[i][j] = add ? load(c + i * c_row + j * kLanes) : zero();
  for (int64_t p = 0; p < k; ++p) {
    Vec bv[N];
    for (int j = 0; j < N; ++j) bv[j] = load(b + j * kLanes);
    for (int i = 0; i < M; ++i) {
      const Vec av = splat(a[i * a_row]);
      for (int j = 0; j < N; ++j) sum[i][j] = fma(av, bv[j], sum[i][j]);
    }
    a += a_k;
    b += b_row;
  }
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < N; ++j) store(c + i * c_row + j * kLanes, sum[i][j]);
}

template <int M>
inline void strip_of(int64_t n, int64_t k, const float* a, int64_t a_row, int64_t a_k, const float* b, int64_t b_row,
                     float* c, int64_t c_row, bool add) {
  int64_t j = 0;
  for (; j + 2 * kLanes <= n; j += 2 * kLanes) tile<M, 2>(k, a, a_row, a_k, b + j, b_row, c + j, c_row, add);
  if (j < n) tile<M, 1>(k, a, a_row, a_k, b + j, b_row, c + j, c_row, add);
}

// 1 ≤ m ≤ kTileRows rows.
template <int M = kTileRows>
inline void strip(int64_t m, int64_t n, int64_t k, const float* a, int64_t a_row, int64_t a_k, const float* b,
                  int64_t b_row, float* c, int64_t c_row, bool add) {
  if (m == M) {
    strip_of<M>(n, k, a, a_row, a_k, b, b_row, c, c_row, add);
  } else if constexpr (M > 1) {
    strip<M - 1>(m, n, k, a, a_row, a_k, b, b_row, c, c_row, add);
  }
}

inline void tile_product(const TileProduct& t) {
  for (int64_t i = 0; i < t.m; i += kTileRows)
    strip(min_of(kTileRows, t.m - i), t.n, t.k, t.a + i * t.a_row, t.a_row, t.a_k, t.b, t.b_row, t.c + i * t.c_row,
          t.c_row, t.add);
}

}  // namespace
}  // namespace mfa
