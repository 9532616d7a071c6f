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
  // K^T and V tiles together should leave room in a 32 KiB L1 cache; both sizes are whole strips and whole vectors.
  g.tile_keys = max_of(shape.key_dim, shape.value_dim) <= 80 ? 96 : 48;
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
};

// The rows of a block: which token and head, and which keys [low, high) each sees.
struct BlockRows {
  int64_t first, count;
  int64_t low_of_block, high_of_block;
  int32_t token[kBlockRows], head[kBlockRows], low[kBlockRows], high[kBlockRows];
  float slope[kBlockRows];
};

inline void find_rows(const AttentionArgs& args, const AttentionGeometry& g, int64_t group, int64_t block,
                      BlockRows& rows) {
  const int64_t sequence = group / args.shape.kv_heads, kv_head = group % args.shape.kv_heads;
  rows.first = block * kBlockRows;
  rows.count = min_of(kBlockRows, g.rows - rows.first);
  rows.low_of_block = g.tokens;
  rows.high_of_block = 0;
  for (int64_t i = 0; i < rows.count; ++i) {
    const int64_t token = (rows.first + i) / g.group_heads;
    const int64_t head = kv_head * g.group_heads + (rows.first + i) % g.group_heads;
    int64_t low = args.shape.window > 0 ? max_of(0, token - args.shape.window + 1) : 0;
    if (args.doc_start.data != nullptr) low = max_of(low, ids_of(args.doc_start)[sequence * g.tokens + token]);
    low = min_of(low, token);  // a token sees itself
    rows.token[i] = static_cast<int32_t>(token);
    rows.head[i] = static_cast<int32_t>(head);
    rows.low[i] = static_cast<int32_t>(low);
    rows.high[i] = static_cast<int32_t>(token + 1);
    rows.slope[i] = args.alibi_slopes.data != nullptr ? row_of(args.alibi_slopes, 0)[head] : 0.0f;
    rows.low_of_block = min_of(rows.low_of_block, low);
    rows.high_of_block = max_of(rows.high_of_block, token + 1);
  }
}

// out[i] = factor · the dims of row i of a [rows, heads · dim] tensor, padded with zeros to `pad`.
inline void pack_rows(const Tensor& x, const AttentionArgs& args, const AttentionGeometry& g, int64_t group,
                      const BlockRows& rows, int64_t dim, int64_t pad, float factor, float* out) {
  const int64_t first_row = group / args.shape.kv_heads * g.tokens;
  for (int64_t i = 0; i < rows.count; ++i) {
    const float* src = row_of(x, first_row + rows.token[i]) + rows.head[i] * dim;
    float* dst = out + i * pad;
    each_vec(dim, [&](int64_t c, auto part) { store(dst + c, load(src + c, part) * splat(factor)); });
  }
}

// Row-major [padded_tokens][pad], zeros beyond the sequence and beyond dim. x: one KV head of one sequence.
inline void pack_keys(const float* x, int64_t stride, const AttentionGeometry& g, int64_t dim, int64_t pad,
                      float* out) {
  for (int64_t j = 0; j < g.tokens; ++j)
    each_vec(dim, [&](int64_t c, auto part) { store(out + j * pad + c, load(x + j * stride + c, part)); });
  for (int64_t i = g.tokens * pad; i < g.padded_tokens * pad; ++i) out[i] = 0;
}

// Transposed tiles [tiles][dim][tile_keys]. Sixteen dims at a time, one cache line of each key.
inline void pack_keys_transposed(const float* x, int64_t stride, const AttentionGeometry& g, int64_t dim, float* out) {
  for (int64_t t = 0; t < g.tiles; ++t) {
    float* tile_out = out + t * dim * g.tile_keys;
    const int64_t first = t * g.tile_keys, count = min_of(g.tile_keys, g.tokens - first);
    for (int64_t c0 = 0; c0 < dim; c0 += 16) {
      const int64_t c1 = min_of(dim, c0 + 16);
      for (int64_t c = c0; c < c1; ++c) {
        for (int64_t j = 0; j < count; ++j) tile_out[c * g.tile_keys + j] = x[(first + j) * stride + c];
        for (int64_t j = count; j < g.tile_keys; ++j) tile_out[c * g.tile_keys + j] = 0;
      }
    }
  }
}

inline const float* kv_of(const Tensor& x, const AttentionArgs& args, int64_t group, int64_t dim) {
  return row_of(x, group / args.shape.kv_heads * args.shape.tokens) + group % args.shape.kv_heads * dim;
}

// Rows [row, row + m) of the block against the tile that starts at key `first`: the columns that one of them sees,
// exactly ([low, high), within the tile) and in whole vectors ([begin, end)).
struct StripRange {
  int64_t row, m, low, high, begin, end;
};

inline StripRange strip_range(const BlockRows& rows, int64_t row, int64_t first, int64_t tile_keys) {
  StripRange s{row, min_of(kTileRows, rows.count - row), tile_keys, 0, 0, 0};
  for (int64_t i = row; i < row + s.m; ++i) {
    s.low = min_of(s.low, rows.low[i] - first);
    s.high = max_of(s.high, rows.high[i] - first);
  }
  s.low = max_of(s.low, 0);
  s.high = min_of(s.high, tile_keys);
  if (s.low >= s.high) return {row, s.m, 0, 0, 0, 0};
  s.begin = s.low / kLanes * kLanes;
  s.end = round_up(s.high, kLanes);
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
  const int64_t low = min_of(rows.low[i] - first, s.end), high = max_of(rows.high[i] - first, s.begin);
  for (int64_t j = s.begin; j < low; ++j) logits[j] = kMinusInfinity;
  for (int64_t j = high; j < s.end; ++j) logits[j] = kMinusInfinity;
}

}  // namespace
}  // namespace mfa
