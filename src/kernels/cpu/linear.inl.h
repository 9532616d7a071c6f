// y = x W^T with W packed in panels of 2 vectors of outputs, [in][2 · kLanes], as f32 or bf16 (unpacked in registers).
//
// Each output is one chain of FMAs along `in`, whatever the number of rows (parking it in y between blocks of k changes
// no bit), so a row's result does not depend on its company. One row reads in · out weights for 2 · in · out
// operations: bound by memory; it takes 4 panels at a time, since one panel alone would wait for its own FMAs.
#pragma once

#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/vec_math.inl.h"

namespace mfa {
namespace {

constexpr int64_t kPanel = 2 * kLanes;
constexpr int64_t kLinearRows = 96;    // rows × kLinearDepth numbers of x stay in the L2 cache …
constexpr int64_t kLinearDepth = 512;  // … and a panel's kLinearDepth × kPanel weights in L1
constexpr int64_t kAheadWeights = 64;  // rows of a panel; the CPU itself does not read far enough beside products

inline Vec load_weight(const float* p) { return load(p); }
inline Vec load_weight(const uint16_t* p) { return load_bf16(p); }

// M rows × P panels. Columns beyond `out` are computed (the panel is padded with zeros) but not stored.
template <int M, int P, class W>
inline void linear_tile(const LinearPiece& piece, const W* w, int64_t depth, const float* x, float* y, int64_t columns,
                        bool add) {
  Vec sum[M][2 * P];
  const auto each_stored = [&](auto f) {
    for (int j = 0; j < 2 * P; ++j) {
      const int64_t left = columns - j * kLanes;
      for (int i = 0; i < M && left > 0; ++i) {
        float* c = y + i * piece.y_row + j * kLanes;
        left >= kLanes ? f(sum[i][j], c, Full{}) : f(sum[i][j], c, Part{left});
      }
    }
  };
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < 2 * P; ++j) sum[i][j] = zero();
  if (add) each_stored([](Vec& s, float* c, auto part) { s = load(c, part); });
  for (int64_t k = 0; k < depth; ++k) {
    for (int p = 0; p < P; ++p) {
      const W* row = w + (p * piece.in + k) * kPanel;
      if constexpr (M > 1) __builtin_prefetch(row + kAheadWeights * kPanel, 0, 3);  // Zen 4: 0.9 × the time of 8 rows
      const Vec w0 = load_weight(row), w1 = load_weight(row + kLanes);
      for (int i = 0; i < M; ++i) {
        const Vec xv = splat(x[i * piece.x_row + k]);
        sum[i][2 * p] = fma(xv, w0, sum[i][2 * p]);
        sum[i][2 * p + 1] = fma(xv, w1, sum[i][2 * p + 1]);
      }
    }
  }
  each_stored([](Vec& s, float* c, auto part) { store(c, s, part); });
}

template <int M, class W>
inline void linear_rows_of(const LinearPiece& piece, int64_t row, int64_t k, int64_t depth, int64_t panel_begin,
                           int64_t panel_end) {
  constexpr int kTogether = M == 1 ? 4 : M == 2 ? 2 : 1;
  const float* x = piece.x + row * piece.x_row + k;
  float* y = piece.y + row * piece.y_row;
  const W* w = static_cast<const W*>(piece.weight) + k * kPanel;
  int64_t panel = panel_begin;
  for (; panel + kTogether <= panel_end; panel += kTogether)
    linear_tile<M, kTogether>(piece, w + panel * piece.in * kPanel, depth, x, y + panel * kPanel,
                              piece.out - panel * kPanel, k > 0);
  for (; panel < panel_end; ++panel)
    linear_tile<M, 1>(piece, w + panel * piece.in * kPanel, depth, x, y + panel * kPanel, piece.out - panel * kPanel,
                      k > 0);
}

template <class W, int M = kTileRows>
inline void linear_rows(const LinearPiece& piece, int64_t rows, int64_t row, int64_t k, int64_t depth,
                        int64_t panel_begin, int64_t panel_end) {
  if (rows == M) {
    linear_rows_of<M, W>(piece, row, k, depth, panel_begin, panel_end);
  } else if constexpr (M > 1) {
    linear_rows<W, M - 1>(piece, rows, row, k, depth, panel_begin, panel_end);
  }
}

template <class W>
inline void linear_many(const LinearPiece& piece) {
  for (int64_t first = 0; first < piece.rows; first += kLinearRows) {
    const int64_t last = min_of(piece.rows, first + kLinearRows);
    for (int64_t k = 0; k < piece.in; k += kLinearDepth)
      for (int64_t panel = piece.panel_begin; panel < piece.panel_end; ++panel)
        for (int64_t row = first; row < last; row += kTileRows)
          linear_rows<W>(piece, min_of(kTileRows, last - row), row, k, min_of(kLinearDepth, piece.in - k), panel,
                         panel + 1);
  }
}

template <class W>
inline void linear_storage(const LinearPiece& piece) {
  if (piece.rows > kTileRows) return linear_many<W>(piece);
  linear_rows<W>(piece, piece.rows, 0, 0, piece.in, piece.panel_begin, piece.panel_end);
}

inline void linear(const LinearPiece& piece) {
  piece.storage == DType::bf16 ? linear_storage<uint16_t>(piece) : linear_storage<float>(piece);
}

}  // namespace
}  // namespace mfa
