// Training attention, backward: 5 products a tile, probabilities recomputed from lse.
//   P = exp(S − lse)    dV += P^T dO    dP = dO V^T    dS = P ⊙ (dP − D), D = Σ dO ⊙ O    dQ += dS K    dK += dS^T Q
// dK and dV of the blocks that one task does are summed in a buffer of its own, so that no two threads add to one
// number; the buffers of a group are then added up in order. The scale of logits is in the keys, hence in dQ, and comes
// to dK at the end.
#pragma once

#include "kernels/cpu/attention_tiles.inl.h"

namespace mfa {
namespace {

template <class Packing>
struct BackwardScratch {
  using Number = typename Packing::Number;
  Number *keys_t, *keys, *values_t;  // operands B: along dims, along tokens, along dims
  float *row, *dqueries, *lse, *delta;
  Number *queries, *query_steps, *dout, *dout_steps;  // operands A, and B along rows
  float *p, *ds;                                      // [rows][tile_keys], of a strip where it is packed at once
  Number *p_steps, *ds_rows, *ds_steps;               // P^T and dS^T of the block as operands A, dS of a strip
  int64_t floats;
  BackwardScratch(const AttentionGeometry& g, float* memory) {
    Carver carve{memory};
    keys_t = carve.take_numbers<Number>(transposed_numbers<Packing>(g, g.key_dim));
    keys = carve.take_numbers<Number>(g.padded_tokens * g.key_pad);
    values_t = carve.take_numbers<Number>(transposed_numbers<Packing>(g, g.value_dim));
    row = carve.take(key_row_floats(g));
    queries = carve.take_numbers<Number>(kBlockRows * g.key_pad);
    query_steps = packed<Packing>(carve, queries, kBlockRows * g.key_pad);
    dout = carve.take_numbers<Number>(kBlockRows * g.value_pad);
    dout_steps = packed<Packing>(carve, dout, kBlockRows * g.value_pad);
    dqueries = carve.take(kBlockRows * g.key_pad);
    const int64_t float_rows = kPacks<Packing> ? kTileRows : kBlockRows;
    p = carve.take(float_rows * g.tile_keys);
    p_steps = packed<Packing>(carve, p, kBlockRows * g.tile_keys);
    ds = carve.take(float_rows * g.tile_keys);
    ds_rows = packed<Packing>(carve, ds, float_rows * g.tile_keys);
    ds_steps = packed<Packing>(carve, ds, kBlockRows * g.tile_keys);
    lse = carve.take(kBlockRows);
    delta = carve.take(kBlockRows + kLanes);  // written a vector a strip
    floats = carve.used;
  }
};

struct KvGradients {
  float *keys, *values;  // [padded_tokens][key_pad], [padded_tokens][value_pad]
  int64_t floats;
  KvGradients(const AttentionGeometry& g, float* memory) {
    Carver carve{memory};
    keys = carve.take(g.padded_tokens * g.key_pad);
    values = carve.take(g.padded_tokens * g.value_pad);
    floats = carve.used;
  }
};

template <class Packing>
inline void load_lse_and_delta(const AttentionGradArgs& args, const AttentionGeometry& g, int64_t group,
                               const BlockRows& rows, const BackwardScratch<Packing>& s) {
  const int64_t first_row = group / args.forward.shape.kv_heads * g.tokens;
  for (int64_t i = 0; i < rows.count; ++i) s.lse[i] = row_of(args.forward.lse, first_row + rows.token[i])[rows.head[i]];
  for (int64_t row = 0; row < rows.count; row += kTileRows) {
    Vec sums[kLanes];
    for (Vec& sum : sums) sum = zero();
    for (int64_t i = row; i < min_of(row + kTileRows, rows.count); ++i) {
      const float* dout = block_row(args.dout, args.forward, g, group, rows, g.value_dim, i);
      with_operand(args.forward.out, [&]<class T>(T*) {
        const T* out = block_row_of_many<T>(args.forward.out, args.forward, g, group, rows, g.value_dim, i);
        Vec& sum = sums[i - row];
        each_vec(g.value_dim,
                 [&](int64_t c, auto part) { sum = fma(load_operand(out + c, part), load(dout + c, part), sum); });
      });
    }
    store(s.delta + row, join_lanes(sums, [](Vec a, Vec b) { return a + b; }));
  }
}

// Rows i … i + kTogether − 1 of a strip's P and dS, from their logits (in p) and dP (in ds); zeros where the strip
// computed nothing, since the products by columns read there. As f32, in place: one row.
template <class Packing>
inline void gradient_rows(const BackwardScratch<Packing>& s, const StripRange& r, int64_t tile_keys, int64_t i,
                          float* p, float* ds) requires(!kPacks<Packing>) {
  p += i * tile_keys, ds += i * tile_keys;
  const Vec shift = Packing::shift_of(splat(s.lse[r.row + i])), d = splat(s.delta[r.row + i]);
  for (int64_t j = 0; j < r.begin; j += kLanes) store(p + j, zero()), store(ds + j, zero());
  for (int64_t j = r.begin; j < r.end; j += kLanes) {
    const Vec probability = Packing::exp(load(p + j), shift);
    store(p + j, probability);
    store(ds + j, probability * (load(ds + j) - d));
  }
  for (int64_t j = r.end; j < tile_keys; j += kLanes) store(p + j, zero()), store(ds + j, zero());
}
// Packed: two rows, the second of which counts as zeros where the strip has no such row.
template <class Packing>
inline void gradient_rows(const BackwardScratch<Packing>& s, const StripRange& r, int64_t tile_keys, int64_t i,
                          const float* p, const float* ds) requires(kPacks<Packing>) {
  static_assert(Packing::kTogether == 2 && kTileRows % 2 == 0);
  const int64_t at = (r.row + i) * tile_keys;
  uint16_t *p_steps = s.p_steps + at, *ds_steps = s.ds_steps + at, *ds_rows = s.ds_rows + i * tile_keys;
  p += i * tile_keys, ds += i * tile_keys;
  const bool second = i + 1 < r.m;
  const float *lse = s.lse + r.row + i, *delta = s.delta + r.row + i;
  const Vec shift = Packing::shift_of(splat(lse[0])), d = splat(delta[0]);
  const Vec next_shift = Packing::shift_of(splat(lse[second])), next_d = splat(delta[second]);
  const auto none = Packing::join(zero(), zero());
  for (int64_t j = 0; j < r.begin; j += kLanes)
    Packing::store(p_steps + 2 * j, none), Packing::store(ds_steps + 2 * j, none);
  for (int64_t j = r.begin; j < r.end; j += kLanes) {
    const Vec a = Packing::exp(load(p + j), shift), b = a * (load(ds + j) - d);
    Vec next_a = zero(), next_b = zero();
    if (second) {
      next_a = Packing::exp(load(p + tile_keys + j), next_shift);
      next_b = next_a * (load(ds + tile_keys + j) - next_d);
    }
    const auto gradients = Packing::join(b, next_b);
    Packing::store_pairs(p_steps + 2 * j, a, next_a);
    Packing::store(ds_steps + 2 * j, Packing::interleave(gradients));
    Packing::store_halves(ds_rows + j, ds_rows + tile_keys + j, gradients);
  }
  for (int64_t j = r.end; j < tile_keys; j += kLanes)
    Packing::store(p_steps + 2 * j, none), Packing::store(ds_steps + 2 * j, none);
}

// S, dP, P, dS and dQ, strip by strip. ranges: what each strip computed.
template <class Packing, class F>
inline void backward_strips(const AttentionGeometry& g, const BlockRows& rows, const BackwardScratch<Packing>& s,
                            int64_t t, StripRange* ranges, F beside) {
  constexpr int64_t kTogether = Packing::kTogether;
  const int64_t first = t * g.tile_keys, tile_step = g.tile_keys * kTogether;
  const auto *keys_t = s.keys_t + t * transposed_numbers<Packing>(g, g.key_dim) / g.tiles,
             *values_t = s.values_t + t * transposed_numbers<Packing>(g, g.value_dim) / g.tiles;
  for (int64_t row = 0; row < rows.count; row += kTileRows) {
    const StripRange r = ranges[row / kTileRows] = strip_range(rows, row, first, g.tile_keys);
    const int64_t at = row * g.tile_keys, float_at = kPacks<Packing> ? 0 : at;
    float *p = s.p + float_at, *ds = s.ds + float_at;
    beside(row);
    if (r.end != 0) {
      strip<Packing>(r.m, r.end - r.begin, steps_of<Packing>(g.key_dim), s.queries + row * g.key_pad, g.key_pad,
                     kTogether, keys_t + r.begin * kTogether, tile_step, p + r.begin, g.tile_keys, false);
      strip<Packing>(r.m, r.end - r.begin, steps_of<Packing>(g.value_dim), s.dout + row * g.value_pad, g.value_pad,
                     kTogether, values_t + r.begin * kTogether, tile_step, ds + r.begin, g.tile_keys, false);
      for (int64_t i = 0; r.masked && i < r.m; ++i) mask_row(rows, row + i, first, r, p + i * g.tile_keys);
    }  // else, between strips that see some of this tile, one that sees none: zeros
    for (int64_t i = 0; i < r.m; i += kTogether) gradient_rows<Packing>(s, r, g.tile_keys, i, p, ds);
    const int64_t low = r.low / kTogether * kTogether;
    if (r.end != 0)
      strip<Packing>(r.m, g.key_pad, steps_of<Packing>(r.high - low), s.ds_rows + float_at + low, g.tile_keys,
                     kTogether, s.keys + (first + low) * g.key_pad, g.key_pad * kTogether, s.dqueries + row * g.key_pad,
                     g.key_pad, true);
  }
}

// dV += P^T dO and dK += dS^T Q, a strip of keys at a time over the rows from the first to the last that see one.
template <class Packing>
inline void backward_keys(const AttentionGeometry& g, const BlockRows& rows, const BackwardScratch<Packing>& s,
                          int64_t t, const StripRange* ranges, const KvGradients& kv) {
  constexpr int64_t kTogether = Packing::kTogether;
  const int64_t strips = (rows.count + kTileRows - 1) / kTileRows, tile_step = g.tile_keys * kTogether;
  const int64_t first = t * g.tile_keys, count = min_of(g.tile_keys, rows.high_of_block - first);
  for (int64_t j = 0; j < count; j += kTileRows) {
    const int64_t m = min_of(kTileRows, count - j);
    int64_t begin = rows.count, end = 0;
    for (int64_t i = 0; i < strips; ++i) {
      if (ranges[i].begin >= j + m || ranges[i].end <= j) continue;
      begin = min_of(begin, ranges[i].row);
      end = ranges[i].row + ranges[i].m;
    }
    if (begin >= end) continue;
    const int64_t at = begin * g.tile_keys + j * kTogether, steps = steps_of<Packing>(end - begin);
    strip<Packing>(m, g.value_pad, steps, s.p_steps + at, kTogether, tile_step, s.dout_steps + begin * g.value_pad,
                   g.value_pad * kTogether, kv.values + (first + j) * g.value_pad, g.value_pad, true);
    strip<Packing>(m, g.key_pad, steps, s.ds_steps + at, kTogether, tile_step, s.query_steps + begin * g.key_pad,
                   g.key_pad * kTogether, kv.keys + (first + j) * g.key_pad, g.key_pad, true);
  }
}

template <class Packing>
inline void store_dqueries(const AttentionGradArgs& args, const AttentionGeometry& g, int64_t group,
                           const BlockRows& rows, const BackwardScratch<Packing>& s) {
  for (int64_t i = 0; i < rows.count; ++i) {
    float* dq = block_row_of_many(args.dq, args.forward, g, group, rows, g.key_dim, i);
    each_vec(g.key_dim, [&](int64_t c, auto part) { store(dq + c, load(s.dqueries + i * g.key_pad + c), part); });
  }
}

template <class Packing>
inline void backward_blocks(const AttentionGradArgs& args, int64_t group, int64_t part, int64_t parts, float* scratch,
                            float* partial) {
  const AttentionArgs& forward = args.forward;
  const AttentionGeometry g = geometry_of(forward.shape);
  const BackwardScratch<Packing> s(g, scratch);
  const KvGradients kv(g, partial);
  const float *k = kv_of(forward.k, forward, group, g.key_dim), *v = kv_of(forward.v, forward, group, g.value_dim);
  const auto scale = static_cast<float>(forward.shape.scale);
  pack_keys_transposed<Packing>(k, forward.k.stride, g, g.key_dim, g.key_pad, scale, s.row, s.keys_t);
  pack_keys<Packing>(k, forward.k.stride, g, g.key_dim, g.key_pad, scale, s.row, s.keys);
  pack_keys_transposed<Packing>(v, forward.v.stride, g, g.value_dim, g.value_pad, 1, s.row, s.values_t);
  for (int64_t i = 0; i < kv.floats; ++i) partial[i] = 0;
  BlockRows rows;
  StripRange ranges[kStripsPerBlock];
  for (int64_t block = part; block < g.blocks; block += parts) {
    find_rows(forward, g, group, block, rows);
    load_rows<Packing>(forward.q, forward, g, group, rows, g.key_dim, g.key_pad, s.queries, s.query_steps);
    load_rows<Packing>(args.dout, forward, g, group, rows, g.value_dim, g.value_pad, s.dout, s.dout_steps);
    load_lse_and_delta(args, g, group, rows, s);
    for (int64_t i = 0; i < rows.count * g.key_pad; ++i) s.dqueries[i] = 0;
    const int64_t last = (rows.high_of_block + g.tile_keys - 1) / g.tile_keys;
    const int64_t first_tile = rows.low_of_block / g.tile_keys, next = rows.first + parts * kBlockRows;
    const auto fetch = [&](int64_t row) {
      with_operand(forward.q,
                   [&]<class T>(T*) { fetch_strip<T>(forward.q, forward, g, group, next + row, g.key_dim); });
      fetch_strip(args.dout, forward, g, group, next + row, g.value_dim);
      with_operand(forward.out,
                   [&]<class T>(T*) { fetch_strip<T>(forward.out, forward, g, group, next + row, g.value_dim); });
    };
    for (int64_t t = first_tile; t < last; ++t) {
      if (t == first_tile)
        backward_strips(g, rows, s, t, ranges, fetch);
      else
        backward_strips(g, rows, s, t, ranges, [](int64_t) {});
      backward_keys(g, rows, s, t, ranges, kv);
    }
    store_dqueries(args, g, group, rows, s);
  }
}

template <class Pairs = Bf16Pairs>
inline void attention_backward(const AttentionGradArgs& args, int64_t group, int64_t part, int64_t parts,
                               float* scratch, float* partial, bool bf16_products) {
  if constexpr (kBf16Products)
    if (bf16_products) return backward_blocks<PairPacking<Pairs>>(args, group, part, parts, scratch, partial);
  backward_blocks<FloatPacking>(args, group, part, parts, scratch, partial);
}

inline void reduce_one(const Tensor& x, int64_t row, int64_t column, int64_t dim, const float* partials,
                       int64_t distance, int64_t parts, float factor, bool accumulate) {
  float* out = row_of(x, row) + column;
  if (row + kRowsAhead < x.rows) fetch_row(row_of(x, row + kRowsAhead) + column, dim);
  each_vec(dim, [&](int64_t c, auto part) {
    Vec sum = load(partials + c, part);
    for (int64_t i = 1; i < parts; ++i) sum = sum + load(partials + i * distance + c, part);
    sum = sum * splat(factor);
    store(out + c, accumulate ? load(out + c, part) + sum : sum, part);
  });
}

inline void attention_reduce(const AttentionGradArgs& args, int64_t group, int64_t parts, const float* partials,
                             int64_t begin, int64_t end) {
  const AttentionShape& shape = args.forward.shape;
  const AttentionGeometry g = geometry_of(shape);
  const int64_t keys_floats = round_up(g.padded_tokens * g.key_pad, 16);
  const int64_t distance = keys_floats + round_up(g.padded_tokens * g.value_pad, 16);
  const int64_t first_row = group / shape.kv_heads * g.tokens, kv_head = group % shape.kv_heads;
  for (int64_t j = begin; j < end; ++j) {
    reduce_one(args.dk, first_row + j, kv_head * g.key_dim, g.key_dim, partials + j * g.key_pad, distance, parts,
               static_cast<float>(shape.scale), args.accumulate_kv);
    reduce_one(args.dv, first_row + j, kv_head * g.value_dim, g.value_dim, partials + keys_floats + j * g.value_pad,
               distance, parts, 1, args.accumulate_kv);
  }
}

inline int64_t attention_blocks(const AttentionShape& shape) { return geometry_of(shape).blocks; }
template <class Pairs = Bf16Pairs>
inline int64_t attention_backward_scratch(const AttentionShape& shape) {
  const AttentionGeometry g = geometry_of(shape);
  const int64_t floats = BackwardScratch<FloatPacking>(g, nullptr).floats;
  if constexpr (kBf16Products) return max_of(floats, BackwardScratch<PairPacking<Pairs>>(g, nullptr).floats);
  return floats;
}
inline int64_t attention_partial(const AttentionShape& shape) {
  return KvGradients(geometry_of(shape), nullptr).floats;
}

}  // namespace
}  // namespace mfa
