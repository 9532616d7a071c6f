// Attention over the paged cache, for decoding and for chunks of a prompt.
//
// A page holds, head by head, K [page_tokens][key_dim] and V [page_tokens][value_dim], row-major without padding. The
// logits are computed transposed, S^T [keys][rows] = K Q^T: keys are then the broadcast operand, read where they lie,
// and the query rows — (token, query head) pairs of one KV head — fill the vector lanes; the softmax runs down the
// columns without horizontal sums. Each cached number is read (and bf16 converted) once a tile for up to kPagedRows
// rows. A token costs numbers_per_token · size bytes and 2 · heads · (key_dim + value_dim) operations. Slow for
// kv_heads = n_heads in decode: one row fills one lane of kLanes (still near the memory bound in f32).
//
// Invariance: a row meets the keys in tiles and splits cut at fixed positions, all its sums run along keys in order,
// and splits are folded in order; a tile that a row does not see changes no bit of it (p = 0, factor e^0 = 1).
#pragma once

#include "kernels/cpu/gemm_tile.inl.h"
#include "kernels/cpu/kernel_table.h"

namespace mfa {
namespace {

constexpr int64_t kPagedRows = 96 / kLanes * kLanes;
constexpr int64_t kPagedTile = 64;  // keys; a page with fewer tokens is a tile
constexpr float kNoKeySeen = -1e30f;

struct PagedScratch {
  float *queries, *logits, *keys, *values, *maximum, *sum, *factor, *low, *high, *slope, *position, *out;
  int64_t floats = 0, key_pad, value_pad;
  PagedScratch(const KvPoolSpec& spec, float* memory) {
    key_pad = round_up(spec.key_dim, kLanes);
    value_pad = round_up(spec.value_dim, kLanes);
    const auto take = [&](int64_t n) {
      float* piece = memory == nullptr ? nullptr : memory + floats;
      floats += round_up(n, 16);
      return piece;
    };
    queries = take(spec.key_dim * kPagedRows);  // transposed: [key_dim][rows]
    logits = take(kPagedTile * kPagedRows);
    keys = take(kPagedTile * key_pad);
    values = take(kPagedTile * value_pad);
    maximum = take(kPagedRows);
    sum = take(kPagedRows);
    factor = take(kPagedRows);
    low = take(kPagedRows);
    high = take(kPagedRows);
    slope = take(kPagedRows);
    position = take(kPagedRows);
    out = take(kPagedRows * value_pad);
  }
};

// What a split, or all splits folded so far, know of each row.
struct PagedState {
  float *maximum, *sum, *out;  // [rows], [rows], [rows][value_pad]
  PagedState(const KvPoolSpec& spec, float* memory)
      : maximum(memory),
        sum(memory + kPagedRows),
        out(memory + 2 * kPagedRows),
        pad_(round_up(spec.value_dim, kLanes)) {}
  void clear() const {
    for (int64_t r = 0; r < kPagedRows; ++r) maximum[r] = kNoKeySeen, sum[r] = 0;
    for (int64_t i = 0; i < kPagedRows * pad_; ++i) out[i] = 0;
  }

 private:
  int64_t pad_;
};

inline int64_t paged_scratch(const KvPoolSpec& spec) { return PagedScratch(spec, nullptr).floats; }
inline int64_t paged_state(const KvPoolSpec& spec) {
  return round_up(kPagedRows * (2 + round_up(spec.value_dim, kLanes)), 16);
}

struct PagedRow {
  int64_t row, head, position;
};
inline PagedRow row_at(const PagedPiece& piece, int64_t r) {
  const int64_t group_heads = piece.args->n_heads / piece.spec.kv_heads;
  const int64_t token = r / group_heads;
  return {piece.first_row + token, piece.kv_head * group_heads + r % group_heads, piece.first_position + token};
}

// Queries transposed and scaled, and what each row sees; lanes beyond the rows see nothing.
inline void load_queries(const PagedPiece& piece, const PagedScratch& s, int64_t rows, int64_t lanes) {
  const float factor = static_cast<float>(piece.args->scale);
  for (int64_t r = 0; r < lanes; ++r) {
    const bool real = r < rows;
    const PagedRow at = row_at(piece, piece.row_begin + (real ? r : 0));
    const float* q = row_of(piece.args->q, at.row) + at.head * piece.spec.key_dim;
    for (int64_t c = 0; c < piece.spec.key_dim; ++c) s.queries[c * lanes + r] = real ? q[c] * factor : 0.0f;
    const int64_t low = piece.args->window > 0 ? max_of(0, at.position - piece.args->window + 1) : 0;
    s.low[r] = static_cast<float>(real ? low : 0);
    s.high[r] = static_cast<float>(real ? at.position + 1 : 0);
    s.position[r] = static_cast<float>(at.position);
    s.slope[r] = piece.args->alibi_slopes.data != nullptr ? row_of(piece.args->alibi_slopes, 0)[at.head] : 0.0f;
  }
}

// `count` cached vectors as f32: where they lie if they are f32 already and (for V, the row-major operand of a product)
// whole vectors long, else a padded copy in `buffer`.
struct CachedRows {
  const float* data;
  int64_t stride;
};
inline CachedRows cached_rows(const PagedPiece& piece, const std::byte* data, int64_t count, int64_t stored,
                              int64_t wanted, bool whole_vectors, float* buffer) {
  if (piece.spec.type == DType::f32 && (!whole_vectors || wanted % kLanes == 0))
    return {reinterpret_cast<const float*>(data), stored};
  const int64_t pad = round_up(wanted, kLanes);
  for (int64_t j = 0; j < count; ++j) {
    each_vec(wanted, [&](int64_t c, auto part) {
      const int64_t at = j * stored + c;
      store(buffer + j * pad + c, piece.spec.type == DType::f32
                                      ? load(reinterpret_cast<const float*>(data) + at, part)
                                      : load_bf16(reinterpret_cast<const uint16_t*>(data) + at, part));
    });
  }
  return {buffer, pad};
}

// Keys rotated at their positions, into `buffer` (which may already hold them).
inline CachedRows rotated_keys(const PagedPiece& piece, CachedRows keys, int64_t first, int64_t count, int64_t key_pad,
                               float* buffer) {
  const int64_t half = piece.args->key_cos.cols;
  for (int64_t j = 0; j < count; ++j) {
    const float *cos = row_of(piece.args->key_cos, first + j), *sin = row_of(piece.args->key_sin, first + j);
    const float* k = keys.data + j * keys.stride;
    float* out = buffer + j * key_pad;
    each_vec(half, [&](int64_t i, auto part) {
      const Vec c = load(cos + i, part), s = load(sin + i, part), a = load(k + i, part), b = load(k + half + i, part);
      store(out + i, a * c - b * s, part);
      store(out + half + i, a * s + b * c, part);
    });
    if (out != k)
      each_vec(piece.spec.key_dim - 2 * half,
               [&](int64_t i, auto part) { store(out + 2 * half + i, load(k + 2 * half + i, part), part); });
  }
  return {buffer, key_pad};
}

// ALiBi, then −∞ where key `first + j` is outside the row's [low, high).
inline void mask_columns(const PagedScratch& s, int64_t first, int64_t count, int64_t lanes) {
  for (int64_t j = 0; j < count; ++j) {
    const Vec key = splat(static_cast<float>(first + j)), hidden = splat(kMinusInfinity);
    for (int64_t r = 0; r < lanes; r += kLanes) {
      float* x = s.logits + j * lanes + r;
      const Vec biased = fma(load(s.slope + r), key - load(s.position + r), load(x));
      store(x, select_less(key, load(s.low + r), hidden, select_less(key, load(s.high + r), biased, hidden)));
    }
  }
}

// Logits [count][lanes] to probabilities; s.factor gets what the earlier sums of each row are multiplied by.
inline void softmax_columns(const PagedScratch& s, int64_t count, int64_t lanes) {
  for (int64_t r = 0; r < lanes; r += kLanes) {
    const Vec old = load(s.maximum + r);
    Vec largest = old;
    for (int64_t j = 0; j < count; ++j) largest = max(load(s.logits + j * lanes + r), largest);
    const Vec factor = exp(old - largest);
    Vec sum = load(s.sum + r) * factor;
    for (int64_t j = 0; j < count; ++j) {
      const Vec p = exp(load(s.logits + j * lanes + r) - largest);
      sum = sum + p;
      store(s.logits + j * lanes + r, p);
    }
    store(s.maximum + r, largest);
    store(s.sum + r, sum);
    store(s.factor + r, factor);
  }
}

// The product with V walks it by columns, which the CPU's own prefetcher does not foresee: 1.15 × on 16 KV heads of
// 64 numbers, 1.05 × on one of 256.
inline void prefetch(const std::byte* data, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(data + i);
}

// Keys at positions [first, first + count), all of one page. masked: ALiBi, or some row does not see some of them.
inline void paged_tile(const PagedPiece& piece, const PagedScratch& s, int64_t rows, int64_t lanes, int64_t first,
                       int64_t count, bool masked) {
  const KvPoolSpec& spec = piece.spec;
  const int64_t bytes = spec.type == DType::bf16 ? 2 : 4;
  const int64_t page_head = spec.page_tokens * (spec.key_dim + (spec.value_in_key ? 0 : spec.value_dim));
  const int64_t page = piece.pages[first / spec.page_tokens], offset = first % spec.page_tokens;
  const std::byte* head = piece.memory + (page * spec.kv_heads + piece.kv_head) * page_head * bytes;
  const std::byte* key_data = head + offset * spec.key_dim * bytes;
  const std::byte* value_data =
      spec.value_in_key ? key_data : head + (spec.page_tokens * spec.key_dim + offset * spec.value_dim) * bytes;
  const int64_t value_stored = spec.value_in_key ? spec.key_dim : spec.value_dim;

  CachedRows keys = cached_rows(piece, key_data, count, spec.key_dim, spec.key_dim, false, s.keys);
  if (piece.args->key_cos.data != nullptr) keys = rotated_keys(piece, keys, first, count, s.key_pad, s.keys);
  for (int64_t j = 0; j < count; j += kTileRows) {
    const int64_t m = min_of(kTileRows, count - j), value_bytes = value_stored * bytes;
    if (!spec.value_in_key) prefetch(value_data + j * value_bytes, m * value_bytes);
    strip(m, lanes, spec.key_dim, keys.data + j * keys.stride, keys.stride, 1, s.queries, lanes, s.logits + j * lanes,
          lanes, false);
  }
  if (masked) mask_columns(s, first, count, lanes);
  softmax_columns(s, count, lanes);

  for (int64_t r = 0; r < rows; ++r) {
    if (s.factor[r] == 1.0f) continue;
    const Vec factor = splat(s.factor[r]);
    for (int64_t c = 0; c < s.value_pad; c += kLanes)
      store(s.out + r * s.value_pad + c, load(s.out + r * s.value_pad + c) * factor);
  }
  const CachedRows values = cached_rows(piece, value_data, count, value_stored, spec.value_dim, true, s.values);
  for (int64_t r = 0; r < rows; r += kTileRows)
    strip(min_of(kTileRows, rows - r), s.value_pad, count, s.logits + r, 1, lanes, values.data, values.stride,
          s.out + r * s.value_pad, s.value_pad, true);
}

// state = state ⊕ (maximum, sum, out): both rescaled to the larger maximum.
inline void fold(const PagedState& state, const float* maximum, const float* sum, const float* out, int64_t rows,
                 int64_t value_pad) {
  for (int64_t r = 0; r < rows; ++r) {
    const float highest = state.maximum[r] > maximum[r] ? state.maximum[r] : maximum[r];
    const float old_factor = exp_of(state.maximum[r] - highest), new_factor = exp_of(maximum[r] - highest);
    state.maximum[r] = highest;
    state.sum[r] = state.sum[r] * old_factor + sum[r] * new_factor;
    float* folded = state.out + r * value_pad;
    for (int64_t c = 0; c < value_pad; c += kLanes) {
      const Vec added = load(out + r * value_pad + c) * splat(new_factor);
      store(folded + c, fma(load(folded + c), splat(old_factor), added));
    }
  }
}

// The keys of one split that some row sees, tile by tile.
inline void paged_split(const PagedPiece& piece, const PagedScratch& s, int64_t rows, int64_t lanes, int64_t split) {
  // All rows see [all_low, all_high), some see [low, high): the first row looks farthest back, the last farthest on.
  const int64_t all_high = row_at(piece, piece.row_begin).position + 1;
  const int64_t high = row_at(piece, piece.row_end - 1).position + 1, window = piece.args->window;
  const int64_t low = window > 0 ? max_of(0, all_high - window) : 0,
                all_low = window > 0 ? max_of(0, high - window) : 0;
  const bool biased = piece.args->alibi_slopes.data != nullptr;
  for (int64_t r = 0; r < kPagedRows; ++r) s.maximum[r] = kNoKeySeen, s.sum[r] = 0;
  for (int64_t i = 0; i < rows * s.value_pad; ++i) s.out[i] = 0;
  const int64_t split_end = min_of((split + 1) * piece.split_tokens, high);
  for (int64_t page = split * piece.split_tokens; page < split_end; page += piece.spec.page_tokens) {
    for (int64_t offset = 0; offset < piece.spec.page_tokens; offset += kPagedTile) {
      const int64_t first = page + offset;
      const int64_t last = min_of(min_of(first + kPagedTile, page + piece.spec.page_tokens), split_end);
      if (first >= last || last <= low) continue;
      paged_tile(piece, s, rows, lanes, first, last - first, biased || first < all_low || last > all_high);
    }
  }
}

inline void paged_splits(const PagedPiece& piece) {
  const PagedScratch s(piece.spec, piece.scratch);
  const int64_t rows = piece.row_end - piece.row_begin, lanes = round_up(rows, kLanes);
  load_queries(piece, s, rows, lanes);
  if (!piece.separate) PagedState(piece.spec, piece.states).clear();
  for (int64_t split = piece.split_begin; split < piece.split_end; ++split) {
    paged_split(piece, s, rows, lanes, split);
    const int64_t index = piece.separate ? split - piece.split_begin : 0;
    const PagedState state(piece.spec, piece.states + index * paged_state(piece.spec));
    if (piece.separate) state.clear();
    fold(state, s.maximum, s.sum, s.out, rows, s.value_pad);
  }
}

inline void paged_finish(const PagedPiece& piece, int64_t splits) {
  const int64_t rows = piece.row_end - piece.row_begin, pad = round_up(piece.spec.value_dim, kLanes);
  const PagedState total(piece.spec, piece.states);
  for (int64_t split = 1; split < splits; ++split) {
    const PagedState state(piece.spec, piece.states + split * paged_state(piece.spec));
    fold(total, state.maximum, state.sum, state.out, rows, pad);
  }
  for (int64_t r = 0; r < rows; ++r) {
    const PagedRow at = row_at(piece, piece.row_begin + r);
    float* out = row_of(piece.args->out, at.row) + at.head * piece.spec.value_dim;
    const Vec inverse = splat(1.0f / total.sum[r]);
    each_vec(piece.spec.value_dim,
             [&](int64_t c, auto part) { store(out + c, load(total.out + r * pad + c) * inverse, part); });
  }
}

}  // namespace
}  // namespace mfa
