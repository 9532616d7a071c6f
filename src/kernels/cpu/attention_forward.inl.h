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
  float *row, *out, *logits, *maximum, *sum;
  int64_t floats;
  ForwardScratch(const AttentionGeometry& g, float* memory) {
    Carver carve{memory};
    keys = carve.take_numbers<Number>(transposed_numbers<Packing>(g, g.key_dim));
    values = carve.take_numbers<Number>(g.padded_tokens * g.value_pad);
    row = carve.take(key_row_floats(g));
    queries = carve.take_numbers<Number>(kBlockRows * g.key_pad);
    out = carve.take(kBlockRows * g.value_pad);
    logits = carve.take(kTileRows * g.tile_keys);
    weights = packed<Packing>(carve, logits, kTileRows * g.tile_keys);
    maximum = carve.take(kStripsPerBlock * kLanes);  // a lane a row of a strip
    sum = carve.take(kBlockRows * kLanes);           // a vector of partial sums a row: added up once, at the end
    floats = carve.used;
  }
};

// The largest logit of each row of a strip, in lanes.
inline Vec row_maxima(const StripRange& s, const float* logits, int64_t tile_keys) {
  static_assert(kTileRows <= kLanes);
  Vec largest[kLanes];
  for (int i = 0; i < kLanes; ++i) largest[i] = splat(kNoMaximum);
  for (int64_t i = 0; i < s.m; ++i)
    for (int64_t j = s.begin; j < s.end; j += kLanes) largest[i] = max(load(logits + i * tile_keys + j), largest[i]);
  return join_lanes(largest, [](Vec a, Vec b) { return max(a, b); });
}

// The logits of a row to probabilities relative to its maximum (shift: Packing::shift_of), packed as weights; their
// sum, in lanes.
template <class Packing>
inline Vec weigh_row(const StripRange& s, const float* logits, Vec shift, typename Packing::Number* weights) {
  Vec total = zero();
  int64_t j = s.begin;
  if constexpr (kPacks<Packing>)
    for (; j + 2 * kLanes <= s.end; j += 2 * kLanes) {
      const Vec p = Packing::exp(load(logits + j), shift), q = Packing::exp(load(logits + j + kLanes), shift);
      total = total + (p + q);
      Packing::store(weights + j, Packing::join(p, q));
    }
  for (; j < s.end; j += kLanes) {
    const Vec p = Packing::exp(load(logits + j), shift);
    total = total + p;
    if constexpr (kPacks<Packing>)
      Packing::store_rounded(weights + j, p);
    else
      store(weights + j, p);
  }
  return total;
}

// Up to so many, a row is rescaled whether its maximum grew or not: a branch that is mispredicted costs more.
constexpr int64_t kFewValues = 4 * kLanes;

// Turns the logits of a strip into probabilities relative to the new maximum of each row, and rescales what came
// before. The rows' maxima stand in lanes: to find each by itself would wait for a chain of shuffles a row.
template <class Packing>
inline void softmax_strip(const AttentionGeometry& g, const StripRange& r, const ForwardScratch<Packing>& s) {
  float* const maximum = s.maximum + r.row / kTileRows * kLanes;
  const Vec old = load(maximum), top = max(row_maxima(r, s.logits, g.tile_keys), old);
  alignas(64) float factor[kLanes], shift[kLanes];
  store(factor, select_less(old, splat(kNoMaximum / 2), splat(1.0f), exp(old - top)));  // sums of nothing stay zero
  store(shift, Packing::shift_of(top));
  store(maximum, top);
  for (int64_t i = 0; i < r.m; ++i) {
    float *sum = s.sum + (r.row + i) * kLanes, *out = s.out + (r.row + i) * g.value_pad;
    const Vec total = weigh_row<Packing>(r, s.logits + i * g.tile_keys, splat(shift[i]), s.weights + i * g.tile_keys);
    store(sum, fma(load(sum), splat(factor[i]), total));
    if (factor[i] == 1 && g.value_pad > kFewValues) continue;
    for (int64_t c = 0; c < g.value_pad; c += kLanes) store(out + c, load(out + c) * splat(factor[i]));
  }
}

template <class Packing, class F>
inline void forward_tile(const AttentionGeometry& g, const BlockRows& rows, const ForwardScratch<Packing>& s, int64_t t,
                         F beside) {
  constexpr int64_t kTogether = Packing::kTogether;
  const int64_t first = t * g.tile_keys;
  const auto *keys = s.keys + t * transposed_numbers<Packing>(g, g.key_dim) / g.tiles,
             *values = s.values + first * g.value_pad;
  for (int64_t row = 0; row < rows.count; row += kTileRows) {
    const StripRange range = strip_range(rows, row, first, g.tile_keys);
    beside(row);
    if (range.end == 0) continue;
    strip<Packing>(range.m, range.end - range.begin, steps_of<Packing>(g.key_dim), s.queries + row * g.key_pad,
                   g.key_pad, kTogether, keys + range.begin * kTogether, g.tile_keys * kTogether,
                   s.logits + range.begin, g.tile_keys, false);
    for (int64_t i = 0; range.masked && i < range.m; ++i)
      mask_row(rows, row + i, first, range, s.logits + i * g.tile_keys);
    softmax_strip(g, range, s);
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
    const float maximum = s.maximum[i / kTileRows * kLanes + i % kTileRows];
    if (args.lse.data != nullptr) row_of(args.lse, row)[head] = maximum + __builtin_logf(total);
    if (args.max_logit.data != nullptr) row_of(args.max_logit, row)[head] = maximum;
  }
}

template <class Packing>
inline void forward_blocks(const AttentionArgs& args, int64_t group, int64_t block_begin, int64_t block_end,
                           float* scratch, bool keys_packed) {
  const AttentionGeometry g = geometry_of(args.shape);
  const ForwardScratch<Packing> s(g, scratch);
  if (!keys_packed) {
    pack_keys_transposed<Packing>(kv_of(args.k, args, group, g.key_dim), args.k.stride, g, g.key_dim, g.key_pad,
                                  static_cast<float>(args.shape.scale), s.row, s.keys);
    pack_keys<Packing>(kv_of(args.v, args, group, g.value_dim), args.v.stride, g, g.value_dim, g.value_pad, 1, s.row,
                       s.values);
  }
  BlockRows rows;
  for (int64_t block = block_begin; block < block_end; ++block) {
    find_rows(args, g, group, block, rows);
    load_rows<Packing>(args.q, args, g, group, rows, g.key_dim, g.key_pad, s.queries, nullptr);
    for (int64_t i = 0; i < kStripsPerBlock * kLanes; ++i) s.maximum[i] = kNoMaximum;
    for (int64_t i = 0; i < rows.count * kLanes; ++i) s.sum[i] = 0;
    for (int64_t i = 0; i < rows.count * g.value_pad; ++i) s.out[i] = 0;
    const int64_t last = (rows.high_of_block + g.tile_keys - 1) / g.tile_keys;
    const int64_t first = rows.low_of_block / g.tile_keys,
                  next = block + 1 < block_end ? rows.first + kBlockRows : g.rows;
    const auto fetch = [&](int64_t row) {
      with_operand(args.q, [&]<class T>(T*) { fetch_strip<T>(args.q, args, g, group, next + row, g.key_dim); });
      with_operand(args.out,
                   [&]<class T>(T*) { fetch_strip<T>(args.out, args, g, group, rows.first + row, g.value_dim); });
    };
    forward_tile(g, rows, s, first, fetch);
    for (int64_t t = first + 1; t < last; ++t) forward_tile(g, rows, s, t, [](int64_t) {});
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
