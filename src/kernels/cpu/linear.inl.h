// y = x W^T with W packed in panels of 2 vectors of outputs, [in][2 · kLanes] as f32 or bf16 (unpacked in registers).
// Where the path multiplies bf16, [in / 2][2 · kLanes][2] of bf16: as they are, with x in bf16 too, or unpacked.
//
// Each output is one chain of sums along `in`, whatever the number of rows (parking it in y between blocks of k changes
// no bit), so a row's result does not depend on its company. One row reads in · out weights for 2 · in · out
// operations: bound by memory; it takes 4 panels at a time, since one panel alone would wait for its own sums.
#pragma once

#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/vec_math.inl.h"

namespace mfa {
namespace {

constexpr int64_t kPanel = 2 * kLanes;
// Rows by rows: at most kLinearRows of them against a strip of `in` whose numbers of x stay in the L2 cache, panel
// after panel; of a panel, a depth whose weights stay in L1 for all tiles. Two tiles take less depth, since the second
// is to hide what the next depth waits for.
constexpr int64_t kLinearRows = 128, kBytesOfX = 384 << 10;
constexpr int64_t kDepth = 512, kDepthOfTwo = 128;
constexpr int64_t kAheadWeights = 128;  // rows of a panel; the CPU itself does not read far enough beside products

// n cut into as few parts as `most` allows, all but the last of this size.
inline int64_t even_part(int64_t n, int64_t most) { return ceil_div(n, ceil_div(n, most)); }

inline Vec load_weight(const float* p) { return load(p); }
inline Vec load_weight(const uint16_t* p) { return load_bf16(p); }

// How a panel's weights meet x, kTogether rows of weights a step. Each of a step's kParts is a vector of weights for
// either half of the panel, which meet what splat() makes of x at that part.
template <class W>
struct RowsPanel {
  using Weight = W;
  using Number = float;  // of x
  using Vector = Vec;
  static constexpr int64_t kTogether = 1;
  static constexpr int kParts = 1;
  static Vec load(const W* row, int, int half) { return load_weight(row + half * kLanes); }
  static Vec splat(const float* x) { return mfa::splat(*x); }
  static Vec add(Vec x, Vec w, Vec sum) { return fma(x, w, sum); }
};
struct UnpackedPanel : RowsPanel<uint16_t> {  // pairs of rows
  static constexpr int64_t kTogether = 2;
  static constexpr int kParts = 2;
  static Vec load(const uint16_t* row, int part, int half) {
    Vec w[2];
    load_bf16_pair(row + half * 2 * kLanes, w[0], w[1]);
    return w[part];
  }
};
template <class Pairs>
struct PairsPanel {
  using Weight = uint16_t;
  using Number = uint16_t;
  using Vector = typename Pairs::Pair;
  static constexpr int64_t kTogether = 2;
  static constexpr int kParts = 1;
  static Vector load(const uint16_t* row, int, int half) { return Pairs::load(row + half * 2 * kLanes); }
  static Vector splat(const uint16_t* x) { return Pairs::splat(x); }
  static Vec add(Vector x, Vector w, Vec sum) { return Pairs::add(x, w, sum); }
};

// M rows × P panels. Columns beyond `out` are computed (the panel is padded with zeros) but not stored.
template <int M, int P, class Panel>
inline void linear_tile(const LinearPiece& piece, const typename Panel::Weight* w, int64_t depth,
                        const typename Panel::Number* x, float* y, int64_t columns, bool add) {
  constexpr int64_t kStep = Panel::kTogether * kPanel;
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
  const auto meet = [&](const typename Panel::Weight* row, const typename Panel::Number* at, int p, int parts) {
    for (int part = 0; part < parts; ++part) {
      const auto w0 = Panel::load(row, part, 0), w1 = Panel::load(row, part, 1);
      for (int i = 0; i < M; ++i) {
        const auto xv = Panel::splat(at + i * piece.x_row + part);
        sum[i][2 * p] = Panel::add(xv, w0, sum[i][2 * p]);
        sum[i][2 * p + 1] = Panel::add(xv, w1, sum[i][2 * p + 1]);
      }
    }
  };
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < 2 * P; ++j) sum[i][j] = zero();
  if (add) each_stored([](Vec& s, float* c, auto part) { s = load(c, part); });
  const int64_t steps = depth / Panel::kTogether;
  for (int64_t step = 0; step < steps; ++step) {
    for (int p = 0; p < P; ++p) {
      const typename Panel::Weight* row = w + p * piece.panel_numbers + step * kStep;
      if constexpr (M > 1)  // Zen 4: 0.9 × the time of 8 rows
        for (int j = 0; j < 2; ++j) __builtin_prefetch(row + kAheadWeights * kPanel + j * kStep / 2, 0, 3);
      meet(row, x + step * Panel::kTogether, p, Panel::kParts);
    }
  }
  if (depth % Panel::kTogether != 0)  // rows without a partner: a first part, or numbers beside zeros
    for (int p = 0; p < P; ++p) meet(w + p * piece.panel_numbers + steps * kStep, x + steps * Panel::kTogether, p, 1);
  each_stored([](Vec& s, float* c, auto part) { store(c, s, part); });
}

template <int M, class Panel>
inline void linear_rows_of(const LinearPiece& piece, int64_t row, int64_t k, int64_t depth, int64_t panel_begin,
                           int64_t panel_end) {
  constexpr int kPanels = M == 1 ? 4 : M == 2 ? 2 : 1;
  const auto* x = static_cast<const typename Panel::Number*>(piece.x) + row * piece.x_row + k;
  float* y = piece.y + row * piece.y_row;
  const auto* w = static_cast<const typename Panel::Weight*>(piece.weight) + k * kPanel;
  int64_t panel = panel_begin;
  for (; panel + kPanels <= panel_end; panel += kPanels)
    linear_tile<M, kPanels, Panel>(piece, w + panel * piece.panel_numbers, depth, x, y + panel * kPanel,
                                   piece.out - panel * kPanel, k > 0);
  for (; panel < panel_end; ++panel)
    linear_tile<M, 1, Panel>(piece, w + panel * piece.panel_numbers, depth, x, y + panel * kPanel,
                             piece.out - panel * kPanel, k > 0);
}

template <class Panel, int M = kTileRows>
inline void linear_rows(const LinearPiece& piece, int64_t rows, int64_t row, int64_t k, int64_t depth,
                        int64_t panel_begin, int64_t panel_end) {
  if (rows == M) {
    linear_rows_of<M, Panel>(piece, row, k, depth, panel_begin, panel_end);
  } else if constexpr (M > 1) {
    linear_rows<Panel, M - 1>(piece, rows, row, k, depth, panel_begin, panel_end);
  }
}

template <class Panel>
inline void linear_many(const LinearPiece& piece) {
  constexpr int64_t kNumbersOfX = kBytesOfX / static_cast<int64_t>(sizeof(typename Panel::Number));
  const int64_t block = even_part(piece.rows, kLinearRows), tile = even_part(block, kTileRows);
  const int64_t depth = block <= 2 * kTileRows ? kDepthOfTwo : kDepth;
  const int64_t strip = max_of(depth, kNumbersOfX / block / depth * depth);
  for (int64_t first = 0; first < piece.rows; first += block) {
    const int64_t last = min_of(piece.rows, first + block);
    for (int64_t begin = 0; begin < piece.in; begin += strip)
      for (int64_t panel = piece.panel_begin; panel < piece.panel_end; ++panel)
        for (int64_t k = begin; k < min_of(piece.in, begin + strip); k += depth)
          for (int64_t row = first; row < last; row += tile)
            linear_rows<Panel>(piece, min_of(tile, last - row), row, k, min_of(depth, piece.in - k), panel, panel + 1);
  }
}

template <class Panel>
inline void linear_panels(const LinearPiece& piece) {
  if (piece.rows > kTileRows) return linear_many<Panel>(piece);
  linear_rows<Panel>(piece, piece.rows, 0, 0, piece.in, piece.panel_begin, piece.panel_end);
}

inline void linear(const LinearPiece& piece) {
  if (piece.storage == DType::f32) return linear_panels<RowsPanel<float>>(piece);
  if constexpr (kBf16Products)
    piece.bf16_products ? linear_panels<PairsPanel<Bf16Pairs>>(piece) : linear_panels<UnpackedPanel>(piece);
  else
    linear_panels<RowsPanel<uint16_t>>(piece);
}

}  // namespace
}  // namespace mfa
