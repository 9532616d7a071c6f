// Training attention, forward: online softmax over key tiles, one strip of rows at a time. 2 products a tile, each
// 2 · rows · keys · dim operations on the visible half; beside them one exp a logit.
#pragma once

#include "kernels/cpu/attention_tiles.inl.h"

namespace mfa {
namespace {

template <class Packing>
struct ForwardScratch {
  using Number = typename Packing::Number;
  Number *keys, *values, *queries, *weights;
  float *row, *query_rows, *out, *logits, *maximum, *sum;
  int64_t floats;
  ForwardScratch(const AttentionGeometry& g, float* memory) {
    Carver carve{memory};
    keys = carve.take_numbers<Number>(transposed_numbers<Packing>(g, g.key_dim));
    values = carve.take_numbers<Number>(g.padded_tokens * g.value_pad);
    row = carve.take(key_row_floats(g));
    query_rows = carve.take(kBlockRows * g.key_pad);
    queries = packed<Packing>(carve, query_rows, kBlockRows * g.key_pad);
    out = carve.take(kBlockRows * g.value_pad);
    logits = carve.take(kTileRows * g.tile_keys);
    weights = packed<Packing>(carve, logits, kTileRows * g.tile_keys);
    maximum = carve.take(kBlockRows);
    sum = carve.take(kBlockRows * kLanes);  // a vector of partial sums a row: added up once, at the end
    floats = carve.used;
  }
};

// Turns the logits of a row into probabilities relative to its new maximum, packed as weights, and rescales what came
// before.
template <class Packing>
inline void softmax_row(const StripRange& s, const float* logits, float* maximum, float* sum, float* out,
                        int64_t value_pad, typename Packing::Number* weights) {
  Vec largest = splat(kNoMaximum);
  for (int64_t j = s.begin; j < s.end; j += kLanes) largest = max(load(logits + j), largest);
  const float highest = horizontal_max(largest);
  Vec total = load(sum);
  if (highest > *maximum) {
    const Vec factor = exp(splat(*maximum - highest));
    total = total * factor;
    for (int64_t c = 0; c < value_pad; c += kLanes) store(out + c, load(out + c) * factor);
    *maximum = highest;
  }
  const Vec shift = splat(*maximum);
  int64_t j = s.begin;
  if constexpr (kPacks<Packing>)
    for (; j + 2 * kLanes <= s.end; j += 2 * kLanes) {
      const Vec p = Packing::exp(load(logits + j) - shift), q = Packing::exp(load(logits + j + kLanes) - shift);
      total = total + p + q;
      Packing::store(weights + j, Packing::join(p, q));
    }
  for (; j < s.end; j += kLanes) {
    const Vec p = Packing::exp(load(logits + j) - shift);
    total = total + p;
    if constexpr (kPacks<Packing>)
      store_bf16(weights + j, p);
    else
      store(weights + j, p);
  }
  store(sum, total);
}

template <class Packing>
inline void forward_tile(const AttentionGeometry& g, const BlockRows& rows, const ForwardScratch<Packing>& s,
                         int64_t t) {
  constexpr int64_t kTogether = Packing::kTogether;
  const int64_t first = t * g.tile_keys;
  const auto *keys = s.keys + t * transposed_numbers<Packing>(g, g.key_dim) / g.tiles,
             *values = s.values + first * g.value_pad;
  for (int64_t row = 0; row < rows.count; row += kTileRows) {
    const StripRange range = strip_range(rows, row, first, g.tile_keys);
    if (range.end == 0) continue;
    strip<Packing>(range.m, range.end - range.begin, steps_of<Packing>(g.key_dim), s.queries + row * g.key_pad,
                   g.key_pad, kTogether, keys + range.begin * kTogether, g.tile_keys * kTogether,
                   s.logits + range.begin, g.tile_keys, false);
    for (int64_t i = 0; i < range.m; ++i) {
      float* logits = s.logits + i * g.tile_keys;
      if (range.masked) mask_row(rows, row + i, first, range, logits);
      softmax_row<Packing>(range, logits, s.maximum + row + i, s.sum + (row + i) * kLanes,
                           s.out + (row + i) * g.value_pad, g.value_pad, s.weights + i * g.tile_keys);
    }
    const int64_t low = range.low / kTogether * kTogether;  // weights that no row sees are zero
    strip<Packing>(range.m, g.value_pad, steps_of<Packing>(range.high - low), s.weights + low, g.tile_keys, kTogether,
                   values + low * g.value_pad, g.value_pad * kTogether, s.out + row * g.value_pad, g.value_pad, true);
  }
}

template <class Packing>
inline void store_block(const AttentionArgs& args, const AttentionGeometry& g, int64_t group, const BlockRows& rows,
                        const ForwardScratch<Packing>& s) {
  const int64_t first_row = group / args.shape.kv_heads * g.tokens;
  for (int64_t i = 0; i < rows.count; ++i) {
    const int64_t row = first_row + rows.token[i], head = rows.head[i];
    const float total = horizontal_sum(load(s.sum + i * kLanes));
    const Vec inverse = splat(1.0f / total);
    with_operand(args.out, [&]<class T>(T*) {
      T* out = block_row_of_many<T>(args.out, args, g, group, rows, g.value_dim, i);
      each_vec(g.value_dim, [&](int64_t c, auto part) {
        store_operand(out + c, load(s.out + i * g.value_pad + c) * inverse, part);
      });
    });
    if (args.lse.data != nullptr) row_of(args.lse, row)[head] = s.maximum[i] + __builtin_logf(total);
    if (args.max_logit.data != nullptr) row_of(args.max_logit, row)[head] = s.maximum[i];
  }
}

template <class Packing>
inline void forward_blocks(const AttentionArgs& args, int64_t group, int64_t block_begin, int64_t block_end,
                           float* scratch, bool keys_packed) {
  const AttentionGeometry g = geometry_of(args.shape);
  const ForwardScratch<Packing> s(g, scratch);
  if (!keys_packed) {
    pack_keys_transposed<Packing>(kv_of(args.k, args, group, g.key_dim), args.k.stride, g, g.key_dim, g.key_pad, s.row,
                                  s.keys);
    pack_keys<Packing>(kv_of(args.v, args, group, g.value_dim), args.v.stride, g, g.value_dim, g.value_pad, s.row,
                       s.values);
  }
  BlockRows rows;
  for (int64_t block = block_begin; block < block_end; ++block) {
    find_rows(args, g, group, block, rows);
    load_rows(args.q, args, g, group, rows, g.key_dim, g.key_pad, static_cast<float>(args.shape.scale), s.query_rows);
    pack_rows<Packing>(s.query_rows, rows.count, g.key_pad, s.queries, nullptr);
    for (int64_t i = 0; i < rows.count; ++i) s.maximum[i] = kNoMaximum;
    for (int64_t i = 0; i < rows.count * kLanes; ++i) s.sum[i] = 0;
    for (int64_t i = 0; i < rows.count * g.value_pad; ++i) s.out[i] = 0;
    const int64_t last = (rows.high_of_block + g.tile_keys - 1) / g.tile_keys;
    for (int64_t t = rows.low_of_block / g.tile_keys; t < last; ++t) forward_tile(g, rows, s, t);
    store_block(args, g, group, rows, s);
  }
}

template <class Pairs = Bf16Pairs>
inline void attention_forward(const AttentionArgs& args, int64_t group, int64_t block_begin, int64_t block_end,
                              float* scratch, bool keys_packed, bool bf16_products) {
  if constexpr (kBf16Products)
    if (bf16_products)
      return forward_blocks<PairPacking<Pairs>>(args, group, block_begin, block_end, scratch, keys_packed);
  forward_blocks<FloatPacking>(args, group, block_begin, block_end, scratch, keys_packed);
}

// Room for either kind of product.
template <class Pairs = Bf16Pairs>
inline int64_t attention_forward_scratch(const AttentionShape& shape) {
  const AttentionGeometry g = geometry_of(shape);
  const int64_t floats = ForwardScratch<FloatPacking>(g, nullptr).floats;
  if constexpr (kBf16Products) return max_of(floats, ForwardScratch<PairPacking<Pairs>>(g, nullptr).floats);
  return floats;
}

}  // namespace
}  // namespace mfa
