// What a split, or splits folded so far, know of their rows: sums of e^(logit − maximum), sums of values times that,
// and the maximum they are relative to, which larger logits may exceed by kMaximumLag; and how two such states become
// one.
//
// Splits of a run (paged_schedule.h) are folded in order, then runs. A fold reads 2 and writes 1 · rows · value_dim
// floats: at 64 heads of 256 dims, 8 cycles for each key of a split whose state lies in L2, 30 where another core has
// it (Zen 5). Tried, without gain: a fold that leaves what it adds clear for the next split (1.0 ×).
#pragma once

#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/vec_math.inl.h"
#include "kernels/paged_schedule.h"

namespace mfa {
namespace {

constexpr int64_t kBlock = 2 * kLanes;
constexpr float kNoKeySeen = -1e30f;
// A factor of 256 in what is summed. So a row is rescaled in its first tile and then hardly ever (softmax of 16 and 64
// rows: 0.77 × the time, Zen 5).
constexpr float kMaximumLag = 5.5f;

// Numbers from a row of sums to the next: a cache line more than the dims, or all rows of a block of dims would lie in
// the same few sets of L1 (int8: 1.05 × the time at 64 rows of 256).
inline int64_t value_stride(const KvPoolSpec& spec) { return round_up(spec.value_dim, kBlock) + 16; }

// Floats of a state.
inline int64_t paged_state(const KvPoolSpec& spec, int64_t rows) {
  return round_up(2 * round_up(rows, kLanes) + rows * value_stride(spec), 16);
}

struct PagedState {
  int64_t rows, pad;           // pad: value_stride
  float *maximum, *sum, *out;  // [rows], [rows], [rows][pad]
  PagedState(const KvPoolSpec& spec, float* memory, int64_t n_rows)
      : rows(n_rows),
        pad(value_stride(spec)),
        maximum(memory),
        sum(memory + round_up(rows, kLanes)),
        out(memory + 2 * round_up(rows, kLanes)) {}
  void clear() const {
    for (int64_t r = 0; r < rows; ++r) maximum[r] = kNoKeySeen, sum[r] = 0;
    for (int64_t i = 0; i < rows * pad; ++i) out[i] = 0;
  }
};

// Rows [begin, end) of state = state ⊕ more: both rescaled to the larger maximum.
inline void fold(const PagedState& state, const PagedState& more, int64_t begin, int64_t end) {
  alignas(64) float old_factors[kLanes], new_factors[kLanes];
  each_vec(end - begin, [&](int64_t i, auto part) {
    const int64_t first = begin + i;
    const Vec old = load(state.maximum + first, part), added = load(more.maximum + first, part);
    const Vec highest = max(old, added), old_factor = exp(old - highest), new_factor = exp(added - highest);
    const Vec sum = load(more.sum + first, part) * new_factor;
    store(state.maximum + first, highest, part);
    store(state.sum + first, fma(load(state.sum + first, part), old_factor, sum), part);
    store(old_factors, old_factor);
    store(new_factors, new_factor);
    for (int64_t r = first; r < min_of(first + kLanes, end); ++r) {
      const Vec by_old = splat(old_factors[r - first]), by_new = splat(new_factors[r - first]);
      float* folded = state.out + r * state.pad;
      for (int64_t c = 0; c < state.pad; c += kLanes)
        store(folded + c, fma(load(folded + c), by_old, load(more.out + r * state.pad + c) * by_new));
    }
  });
}

// The state of a split, where they are done apart.
inline PagedState split_state(const PagedPiece& piece, int64_t split, int64_t rows) {
  return {piece.spec, piece.states + (split - piece.split_begin) * paged_state(piece.spec, rows), rows};
}

// Of splits that were done apart, rows [begin, end) of all states that are left, to the first.
inline void fold_splits(const PagedPiece& piece, int64_t rows, int64_t begin, int64_t end) {
  const PagedState total = split_state(piece, piece.split_begin, rows);
  for (int64_t split = piece.split_begin; split < piece.split_end;) {
    const int64_t first = split;
    const PagedState run = split_state(piece, first, rows);
    for (++split; split < piece.split_end && !begins_run(split); ++split)
      if (piece.folded[split - piece.split_begin] == 0) fold(run, split_state(piece, split, rows), begin, end);
    if (first != piece.split_begin) fold(total, run, begin, end);
  }
}

}  // namespace
}  // namespace mfa
