// What forward and backward attention share: geometry, the rows of a block, packed keys and values, masked logits.
//
// A group is one KV head of one sequence. Its rows are the (token, query head) pairs of the heads that read it,
// flattened token by token, so that one packed K/V tile serves them all. Rows come in blocks of kBlockRows, keys in
// tiles of tile_keys; inside a tile everything is done a strip of kTileRows rows at a time, and a strip computes only
// the columns that one of its rows sees, so that little is wasted at the diagonal.
#pragma once

#include "kernels/attention_args.h"
#include "kernels/cpu/gemm_tile.inl.h"

namespace mfa {
namespace {

constexpr int64_t kStripsPerBlock = 16;
constexpr int64_t kBlockRows = kStripsPerBlock * kTileRows;
// The running maximum of a row that has seen no key: finite, so that exp(m − m) is 1 and exp(−∞ − m) is 0.
constexpr float kNoMaximum = -1e30f;

struct AttentionGeometry {
  int64_t tokens, group_heads, rows, blocks;
  int64_t key_dim, value_dim, key_pad, value_pad;  // padded to whole vectors
  int64_t tile_keys, tiles, padded_tokens;
};

// Keys of a tile for heads of `dim`: whole vectors and, where the sequence is longer, whole strips. Each tile costs a
// row its maximum, a rescaling, and loads and stores of its sums. K^T and V come from L2, a line or two a step of a
// product, which hides them: against 96 and 48 keys, 224 take 0.92 to 0.96 of the time (Zen 5, 48 to 256 dims, bf16 and
// f32). AVX2's keep to an L1 of 32 KiB; longer ones were not measured where that is what there is.
constexpr int64_t tile_keys(int64_t dim) {
  if (kBf16Products) return dim <= 256 ? 224 : 96;
  return dim <= 80 ? 96 : 48;
}

inline AttentionGeometry geometry_of(const AttentionShape& shape) {
  AttentionGeometry g;
  g.tokens = shape.tokens;
  g.group_heads = shape.n_heads / shape.kv_heads;
  g.rows = g.tokens * g.group_heads;
  g.blocks = (g.rows + kBlockRows - 1) / kBlockRows;
  g.key_dim = shape.key_dim;
  g.value_dim = shape.value_dim;
  g.key_pad = round_up(shape.key_dim, kLanes);
  g.value_pad = round_up(shape.value_dim, kLanes);
  g.tile_keys = min_of(tile_keys(max_of(shape.key_dim, shape.value_dim)), round_up(g.tokens, kLanes));
  g.tiles = (g.tokens + g.tile_keys - 1) / g.tile_keys;
  g.padded_tokens = g.tiles * g.tile_keys;
  return g;
}

// Carves 64-byte aligned pieces of a float buffer; over null it only counts.
struct Carver {
  float* base;
  int64_t used = 0;
  float* take(int64_t floats) {
    float* piece = base == nullptr ? nullptr : base + used;
    used += round_up(floats, 16);
    return piece;
  }
  template <class Number>
  Number* take_numbers(int64_t numbers) {
    return reinterpret_cast<Number*>(take((numbers * static_cast<int64_t>(sizeof(Number)) + 3) / 4));
  }
};

// Rows that are computed together: the least and the greatest low and high, and whether one of them has ALiBi.
struct StripRows {
  int64_t lowest, low, high, highest;
  bool biased;
};

// The rows of a block: which token and head, and which keys [low, high) each sees.
struct BlockRows {
  int64_t first, count;
  int64_t low_of_block, high_of_block;
  int32_t token[kBlockRows], head[kBlockRows], low[kBlockRows], high[kBlockRows];
  float slope[kBlockRows];
  StripRows strips[kStripsPerBlock];
};

inline StripRows strip_rows(const BlockRows& rows, int64_t begin) {
  StripRows s{rows.low[begin], rows.low[begin], rows.high[begin], rows.high[begin], false};
  for (int64_t i = begin; i < min_of(begin + kTileRows, rows.count); ++i) {
    s.lowest = min_of(s.lowest, rows.low[i]), s.low = max_of(s.low, rows.low[i]);
    s.high = min_of(s.high, rows.high[i]), s.highest = max_of(s.highest, rows.high[i]);
    s.biased = s.biased || rows.slope[i] != 0;
  }
  return s;
}

inline void find_rows(const AttentionArgs& args, const AttentionGeometry& g, int64_t group, int64_t block,
                      BlockRows& rows) {
  const int64_t sequence = group / args.shape.kv_heads, kv_head = group % args.shape.kv_heads;
  rows.first = block * kBlockRows;
  rows.count = min_of(kBlockRows, g.rows - rows.first);
  rows.low_of_block = g.tokens;
  rows.high_of_block = 0;
  int64_t token = rows.first / g.group_heads, head = rows.first % g.group_heads;
  for (int64_t i = 0; i < rows.count; ++token, head = 0) {
    int64_t low = args.shape.window > 0 ? max_of(0, token - args.shape.window + 1) : 0;
    if (args.doc_start.data != nullptr) low = max_of(low, ids_of(args.doc_start)[sequence * g.tokens + token]);
    low = min_of(low, token);  // a token sees itself
    rows.low_of_block = min_of(rows.low_of_block, low);
    rows.high_of_block = max_of(rows.high_of_block, token + 1);
    for (; head < g.group_heads && i < rows.count; ++head, ++i) {
      rows.token[i] = static_cast<int32_t>(token);
      rows.head[i] = static_cast<int32_t>(kv_head * g.group_heads + head);
      rows.low[i] = static_cast<int32_t>(low);
      rows.high[i] = static_cast<int32_t>(token + 1);
      rows.slope[i] =
          args.alibi_slopes.data != nullptr ? row_of(args.alibi_slopes, 0)[kv_head * g.group_heads + head] : 0.0f;
    }
  }
  for (int64_t i = 0; i < rows.count; i += kTileRows) rows.strips[i / kTileRows] = strip_rows(rows, i);
}

// How the operands of the products are kept: as f32 …
struct FloatPacking : FloatOperands {
  // exp(x, shift_of(y)): e^(x − y).
  static Vec shift_of(Vec y) { return y; }
  static Vec exp(Vec x, Vec shift) { return mfa::exp(x - shift); }
  static void put_row(const float* x, int64_t n, float* out) {
    if (x != out)
      for (int64_t i = 0; i < n; i += kLanes) store(out + i, mfa::load(x + i));
  }
  // One step of k: the row itself.
  static void put_step(const float* x, const float*, int64_t n, float* out) { put_row(x, n, out); }
};
// … or rounded to bf16, rows of B in pairs.
template <class Pairs>
struct PairPacking : Pairs {
  static Vec shift_of(Vec y) { return y * splat(-kLog2E); }
  static Vec exp(Vec x, Vec shift) { return exp_to_round(x, shift); }
  // Denormals become zero.
  static void put_row(const float* x, int64_t n, uint16_t* out) {
    int64_t i = 0;
    for (; i + 2 * kLanes <= n; i += 2 * kLanes)
      Pairs::store(out + i, Pairs::join(mfa::load(x + i), mfa::load(x + i + kLanes)));
    if (i < n) Pairs::store_rounded(out + i, mfa::load(x + i));
  }
  static void put_step(const float* x, const float* y, int64_t n, uint16_t* out) {
    for (int64_t i = 0; i < n; i += kLanes) Pairs::store_pairs(out + 2 * i, mfa::load(x + i), mfa::load(y + i));
  }
};

// Rows computed a strip at a time are packed at once, and are read from there.
template <class Packing>
constexpr bool kPacks = Packing::kTogether > 1;

// Memory for `numbers` packed ones: `x` itself where packing changes nothing.
template <class Packing, class Number>
inline typename Packing::Number* packed(Carver& carve, Number* x, int64_t numbers) {
  if constexpr (Packing::kTogether == 1)
    return x;
  else
    return carve.take_numbers<typename Packing::Number>(numbers);
}

// The rows of a head lie heads · dim numbers apart, where the CPU's prefetcher does not follow: they are fetched this
// many rows ahead, which is about the latency of memory.
constexpr int64_t kRowsAhead = 8;
template <class T>
inline void fetch_row(const T* x, int64_t dim) {
  constexpr int64_t kLine = 64 / sizeof(T);
  for (int64_t c = 0; c < dim; c += kLine) __builtin_prefetch(x + c);
}

// Row i of the block in a [rows, heads · dim] tensor.
template <class T = float>
inline T* block_row(const Tensor& x, const AttentionArgs& args, const AttentionGeometry& g, int64_t group,
                    const BlockRows& rows, int64_t dim, int64_t i) {
  return row_as<T>(x, group / args.shape.kv_heads * g.tokens + rows.token[i]) + rows.head[i] * dim;
}
// The same, with the row that will follow some rows later on its way.
template <class T = float>
inline T* block_row_of_many(const Tensor& x, const AttentionArgs& args, const AttentionGeometry& g, int64_t group,
                            const BlockRows& rows, int64_t dim, int64_t i) {
  if (i + kRowsAhead < rows.count) fetch_row(block_row<T>(x, args, g, group, rows, dim, i + kRowsAhead), dim);
  return block_row<T>(x, args, g, group, rows, dim, i);
}

// The rows of a strip, `row` the first of them in the group, on their way to L2. Asked for beside the products, a
// strip's share at a time: whole blocks at once would wait for memory. Always inlined, since g++ takes a function that
// only fetches for one without effect, and drops its calls.
template <class T = float>
__attribute__((always_inline)) inline void fetch_strip(const Tensor& x, const AttentionArgs& args,
                                                       const AttentionGeometry& g, int64_t group, int64_t row,
                                                       int64_t dim) {
  constexpr int64_t kLine = 64 / sizeof(T);
  const int64_t end = min_of(row + kTileRows, g.rows);
  while (row < end) {  // the heads of a token lie together
    const int64_t token = row / g.group_heads, head = row % g.group_heads, n = min_of(g.group_heads - head, end - row);
    const T* first = row_as<T>(x, group / args.shape.kv_heads * g.tokens + token) +
                     (group % args.shape.kv_heads * g.group_heads + head) * dim;
    for (int64_t c = 0; c < n * dim; c += kLine) __builtin_prefetch(first + c, 0, 2);
    row += n;
  }
}

// The rows of a block of a [rows, heads · dim] tensor, f32 or an operand, padded with zeros to `pad`, as operands A,
// and as operands B: [rows / kTogether][pad][kTogether] (null: not wanted; both are one where nothing is packed). A row
// beyond the last counts as zeros: there is room for it.
template <class Packing>
inline void load_rows(const Tensor& x, const AttentionArgs& args, const AttentionGeometry& g, int64_t group,
                      const BlockRows& rows, int64_t dim, int64_t pad, typename Packing::Number* as_rows,
                      typename Packing::Number* as_steps) {
  with_operand(x, [&]<class T>(T*) {
    for (int64_t i = 0; i < rows.count; i += Packing::kTogether) {
      const T* first = block_row_of_many<T>(x, args, g, group, rows, dim, i);
      if constexpr (!kPacks<Packing>) {
        each_vec(dim, [&](int64_t c, auto part) { store(as_rows + i * pad + c, load_operand(first + c, part)); });
      } else {
        const bool two = i + 1 < rows.count;
        const T* second = two ? block_row_of_many<T>(x, args, g, group, rows, dim, i + 1) : first;
        each_vec(dim, [&](int64_t c, auto part) {
          const auto both = Packing::join(load_operand(first + c, part), two ? load_operand(second + c, part) : zero());
          Packing::store_halves(as_rows + i * pad + c, as_rows + (i + 1) * pad + c, both);
          if (as_steps != nullptr) Packing::store(as_steps + i * pad + 2 * c, Packing::interleave(both));
        });
      }
    }
  });
}

// factor · token j's key in x, padded with zeros to `pad`; nothing but zeros for a token beyond the sequence.
inline void load_key(const float* x, int64_t stride, const AttentionGeometry& g, int64_t j, int64_t dim, int64_t pad,
                     float factor, float* out) {
  for (int64_t c = j < g.tokens ? dim : 0; c < pad; ++c) out[c] = 0;
  if (j >= g.tokens) return;
  if (j + kRowsAhead < g.tokens) fetch_row(x + (j + kRowsAhead) * stride, dim);
  each_vec(dim, [&](int64_t c, auto part) { store(out + c, load(x + j * stride + c, part) * splat(factor), part); });
}

// Floats of `row` in the functions that follow.
inline int64_t key_row_floats(const AttentionGeometry& g) { return 2 * max_of(g.key_pad, g.value_pad); }

// Keys, times the scale of logits, or values of one KV head as operands B along tokens, with zeros beyond the sequence
// and beyond dim: [padded_tokens / kTogether][pad][kTogether].
template <class Packing>
inline void pack_keys(const float* x, int64_t stride, const AttentionGeometry& g, int64_t dim, int64_t pad,
                      float factor, float* row, typename Packing::Number* out) {
  for (int64_t j = 0; j < g.padded_tokens; j += Packing::kTogether) {
    for (int64_t i = 0; i < Packing::kTogether; ++i) load_key(x, stride, g, j + i, dim, pad, factor, row + i * pad);
    Packing::put_step(row, row + pad, pad, out + j * pad);
  }
}

// The steps of k that `dim` numbers take.
template <class Packing>
inline int64_t steps_of(int64_t dim) {
  return (dim + Packing::kTogether - 1) / Packing::kTogether;
}
template <class Packing>
inline int64_t transposed_numbers(const AttentionGeometry& g, int64_t dim) {
  return g.padded_tokens * steps_of<Packing>(dim) * Packing::kTogether;
}

// The same as operands B along dims: tiles [tiles][dim / kTogether][tile_keys][kTogether], zeros beyond. A key writes a
// cache line a step, which stays in L1 for the sixteen keys that share it.
template <class Packing>
inline void pack_keys_transposed(const float* x, int64_t stride, const AttentionGeometry& g, int64_t dim, int64_t pad,
                                 float factor, float* row, typename Packing::Number* out) {
  using Number = typename Packing::Number;
  constexpr int64_t kTogether = Packing::kTogether;
  const int64_t steps = steps_of<Packing>(dim);
  Number* const numbers = kTogether == 1 ? reinterpret_cast<Number*>(row) : reinterpret_cast<Number*>(row + pad);
  for (int64_t j = 0; j < g.padded_tokens; ++j) {
    load_key(x, stride, g, j, dim, pad, factor, row);
    Packing::put_row(row, pad, numbers);
    Number* to = out + (j / g.tile_keys * steps * g.tile_keys + j % g.tile_keys) * kTogether;
    for (int64_t p = 0; p < steps; ++p)
      __builtin_memcpy(to + p * g.tile_keys * kTogether, numbers + p * kTogether, kTogether * sizeof(Number));
  }
}

inline const float* kv_of(const Tensor& x, const AttentionArgs& args, int64_t group, int64_t dim) {
  return row_of(x, group / args.shape.kv_heads * args.shape.tokens) + group % args.shape.kv_heads * dim;
}

// Rows [row, row + m) of the block against the tile that starts at key `first`: the columns that one of them sees,
// exactly ([low, high), within the tile) and in whole vectors ([begin, end)). masked: one of them does not see all of
// those, or has ALiBi.
struct StripRange {
  int64_t row, m, low, high, begin, end;
  bool masked;
};

inline StripRange strip_range(const BlockRows& rows, int64_t row, int64_t first, int64_t tile_keys) {
  const StripRows& all = rows.strips[row / kTileRows];
  const int64_t low = max_of(all.lowest - first, 0), high = min_of(all.highest - first, tile_keys);
  StripRange s{row,  min_of(kTileRows, rows.count - row), low, high, low / kLanes * kLanes, round_up(high, kLanes),
               false};
  if (low >= high) return {row, s.m, 0, 0, 0, 0, false};
  s.masked = all.biased || all.low - first > s.begin || all.high - first < s.end;
  return s;
}

// Adds ALiBi to the logits of block row i in columns [begin, end) of the tile and hides what the row does not see.
inline void mask_row(const BlockRows& rows, int64_t i, int64_t first, const StripRange& s, float* logits) {
  if (rows.slope[i] != 0) {
    const Vec slope = splat(rows.slope[i]);
    const Vec distance = lane_numbers() + splat(static_cast<float>(first - rows.token[i]));  // j − i
    for (int64_t j = s.begin; j < s.end; j += kLanes)
      store(logits + j, fma(slope, distance + splat(static_cast<float>(j)), load(logits + j)));
  }
  const Vec none = splat(kMinusInfinity);
  const int64_t low = rows.low[i] - first, high = max_of(rows.high[i] - first, s.begin);
  const auto before = [](int64_t column, int64_t j) { return splat(static_cast<float>(column - j)); };
  for (int64_t j = s.begin; j < min_of(low, s.end); j += kLanes)
    store(logits + j, select_less(lane_numbers(), before(low, j), none, load(logits + j)));
  for (int64_t j = high / kLanes * kLanes; j < s.end; j += kLanes)
    store(logits + j, select_less(lane_numbers(), before(high, j), load(logits + j), none));
}

}  // namespace
}  // namespace mfa
