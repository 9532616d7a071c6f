// Attention over the paged cache, for decoding and for chunks of a prompt.
//
// Rows are the (token, query head) pairs of one KV head; up to kPagedRows of them meet tiles of kPagedTile keys, whose
// page (kv_layout.h) is read where it lies and unpacked in registers (paged_products.inl.h). A token costs
// numbers_per_token · size bytes and 2 · heads · (key_dim + value_dim) operations.
//   K apart from V: keys in the lanes, queries broadcast, then dims in the lanes, probabilities broadcast.
//   Values in keys: dims in the lanes; a few keys at a time are unpacked and rotated into L1, scores are dot products
//     (paged_shared_keys.inl.h), or with bf16 products, of slices of vectors (paged_ready_keys.inl.h).
//   Rotation on read: a split's start rotates the queries, a token's offset in the split the key: R(start + offset) =
//     R(start) R(offset). An offset's angle is read from the tables every kDotKeys tokens and turned from there: whole
//     tables would cost 8·half bytes a token, more than a bf16 key, and from L2 they take the time of the turning.
//   int8: integer queries and probabilities, of 16 or 8 bits as the path multiplies them (Int8Products), times 8-bit
//     keys and values, summed in 32 bits, scaled for each 64 dims. Scores of keys that hold their values are f32, or
//     bf16 where the path multiplies it: turning a key mixes dims whose scales differ.
//   bf16 where the path multiplies it: queries and probabilities rounded to bf16, sums in f32, nothing to unpack.
// Slow for kv_heads = n_heads in decode (one row a tile), for page_tokens or dims whose last block is neither one
// vector nor two (it is unpacked to f32 first; one vector of bf16 counts as narrow where bf16 is not multiplied, and
// where values live in keys that nothing makes ready), and for int8 of odd sizes (f32 scores).
//
// Invariance: a row meets the keys in tiles and splits cut at fixed positions, all its sums run along keys in order,
// and splits are folded in order, run by run (paged_states.inl.h); a tile that a row does not see changes no bit of it
// (p = 0, factor e^0 = 1).
//
// A page is fetched while the one before it is met (the two before it, where keys are made ready), and splits that
// follow each other are met by one thread, or else each split's first page comes from memory.
//
// Measured on Zen 5 (AVX-512, bf16 products), two threads: 1.1 – 1.3 × the roofline time for 16 or 64 heads × 256 over
// bf16, int8 0.67 – 0.78 × that. Values in keys take 1.04 × the time of separate K and V at 64 heads; at 16 and 4 heads
// 1.0 and 0.55 × where memory gives 45 GB/s to separate ones, 1.15 and 0.73 × where it gives more (32k). Out of L2, a
// key and its value cost 154 cycles with 16 rows, of which 128 are products and 8 probabilities.
//
// Measured on Zen 4 (AVX-512, bf16 products), two threads: 1.13 – 1.3 × the roofline time for 16 or 64 heads × 256 over
// bf16. int8 takes 0.75 × the bf16 time at 16 and 64 heads. Values in keys take 1.10 × the time of separate K and V at
// 16 heads, 1.00 × at 64, 0.61 × at 4 (bf16, 32k). Out of L2, a key and its value cost 292 cycles with 16 rows, of
// which 256 are products and 16 probabilities.
//
// Measured on Zen 3, two threads: 1.08 – 1.2 × the roofline time for 16 or 64 heads × 256 over bf16, 1.25 for 4 heads
// over f32, which the bandwidth bounds; int8 takes 0.85 × the bf16 time. Values in keys take 1.21 × the time of
// separate K and V at 16 heads, 1.08 × at 64 (bf16, 32k), 0.74 × at 4 (f32): unpacking and turning a key is a sixth of
// the work of 16 rows on it. Since then 4 rows take 0.9 × of that time, 16 rows 0.92 – 1.03 × by the minute (AVX2 on
// Zen 4): there the scores of 16 rows take 270 cycles a key for products, of which 256 are FMAs, and 86 for unpacking
// and turning it, of which 64 are FMAs, and separate keys 285 in all. To reach 1.1 × both would have to run at once,
// for which 12 sums leave AVX2 no registers. Tried on Zen 3, without gain: keys fetched into L1 a block ahead, longer
// rows against conflicts in L1, Chebyshev's recurrence, 4, 8 or 16 keys at a time, angles from the table alone
// (1.03 ×), angles of a tile's 64 tokens from L2 with the queries turned for each tile (1.1 × at 4 heads), horizontal
// adds (1.02 ×); for many rows: bf16 blocks unpacked to f32 once, then shared by the tiles of a block of rows (1.02 ×).
// Tried on Zen 4: a table of angles for 64, 128 or 256 tokens (16 rows: products 1.1 ×, as it takes L1 from queries),
// rows of queries or the next dims of keys fetched into L1 (1.0 ×), all keys turned from the middle of eight (0.9 × the
// turning in L1), keys of four rows turned in registers, two at a time (0.85 × at 4 heads in all, but its angles must
// come from a table, and those of other numbers of rows then too).
#pragma once

#include "kernels/cpu/paged_ready_keys.inl.h"
#include "kernels/cpu/paged_shared_keys.inl.h"

namespace mfa {
namespace {

// ALiBi, then −∞ where a key is outside the row's [low, high) or beyond the tile.
inline void mask_row(const PagedScratch& s, const PagedTile& t, int64_t r) {
  const float end = static_cast<float>(t.first + t.count);
  const Vec low = splat(s.low[r]), high = splat(s.high[r] < end ? s.high[r] : end), hidden = splat(kMinusInfinity);
  for (int64_t j = 0; j < t.count; j += kLanes) {
    const Vec key = splat(static_cast<float>(t.first + j)) + lane_numbers();
    float* x = s.logits + r * kPagedTile + j;
    const Vec biased = fma(splat(s.slope[r]), key - splat(s.position[r]), load(x));
    store(x, select_less(key, low, hidden, select_less(key, high, biased, hidden)));
  }
}

// What probabilities become: as they are, in s.logits; also rounded, in s.half_weights, those too small for a normal
// number as zeros; or that alone. Before they become integers, they are relative to the largest of their row in the
// tile, and s.tile_factor would make them relative to the largest so far.
enum class Weights { f32, f32_and_bf16, bf16, integers };
constexpr bool in_bf16(Weights kind) { return kind == Weights::bf16 || kind == Weights::f32_and_bf16; }

inline Weights kind_of_weights(const PagedPiece& piece, const KvLayout& at) {
  const KvMatrix& v = at.values;
  if (piece.spec.type == DType::i8) return Weights::integers;
  if (!piece.bf16_products || v.type != DType::bf16 || !v.grouped()) return Weights::f32;
  return v.whole((piece.spec.value_dim - 1) / kBlock) ? Weights::bf16 : Weights::f32_and_bf16;
}

// Logits of up to kLanes rows to probabilities; the rows' earlier sums are scaled to the new maxima. Maxima and sums
// stand in lanes: to find each by itself would wait for a chain of shuffles a row.
template <Weights kWeights, int kVecs, class Pairs = Bf16Pairs>
inline void softmax_rows(const PagedScratch& s, const PagedState& state, int64_t begin, int64_t rows) {
  Vec lanes[kLanes];
  for (Vec& largest : lanes) largest = splat(kNoKeySeen);
  for (int64_t i = 0; i < rows; ++i)
    for (int j = 0; j < kVecs; ++j) lanes[i] = max(load(s.logits + (begin + i) * kPagedTile + j * kLanes), lanes[i]);
  const Vec old = load(state.maximum + begin), here = join_lanes(lanes, [](Vec a, Vec b) { return max(a, b); });
  const Vec top = select_less(old + splat(kMaximumLag), here, here, old);
  // Nothing seen, nothing to rescale: sums are zero.
  const Vec factor = select_less(old, splat(kNoKeySeen / 2), splat(1.0f), exp(old - top));
  store(state.maximum + begin, top);
  constexpr bool bf16 = in_bf16(kWeights);
  alignas(64) float shifts[kLanes];
  store(shifts, kWeights == Weights::integers ? here : bf16 ? top * splat(-kLog2E) : top);
  for (Vec& sum : lanes) sum = zero();
  for (int64_t i = 0; i < rows; ++i) {
    float* x = s.logits + (begin + i) * kPagedTile;
    const Vec shift = splat(shifts[i]);
    Vec p[kVecs], sum = zero();
    for (int j = 0; j < kVecs; ++j) {
      const Vec logit = load(x + j * kLanes);
      if constexpr (bf16)
        p[j] = exp_to_round(logit, shift);
      else  // integers: the largest is 1, whatever rounds
        p[j] = kWeights == Weights::integers ? exp_to_round(logit - shift) : exp(logit - shift);
      sum = sum + p[j];
      if constexpr (kWeights != Weights::bf16) store(x + j * kLanes, p[j]);
    }
    lanes[i] = sum;
    if constexpr (kBf16Products && bf16)
      for (int j = 0; j < kVecs; j += 2)
        Pairs::store(s.half_weights + (begin + i) * kPagedTile + j * kLanes,
                     Pairs::join(p[j], j + 1 < kVecs ? p[j + 1] : zero()));
  }
  Vec sums = join_lanes(lanes, [](Vec a, Vec b) { return a + b; });
  if constexpr (kWeights == Weights::integers) {
    const Vec tile_factor = exp(here - top);
    store(s.tile_factor + begin, tile_factor);
    sums = sums * tile_factor;
  }
  store(state.sum + begin, load(state.sum + begin) * factor + sums);
  alignas(64) float factors[kLanes];
  store(factors, factor);
  for (int64_t i = 0; i < rows; ++i) {
    if (factors[i] == 1) continue;
    float* out = state.out + (begin + i) * s.value_pad;
    for (int64_t c = 0; c < s.value_pad; c += kLanes) store(out + c, load(out + c) * splat(factors[i]));
  }
}

// The values' scales of one group of dims, [kPagedTile], to steps of the largest that row r sees (masked), or of all.
// Returns that one's.
inline float scale_steps(const PagedScratch& s, const PagedTile& t, const float* scales, bool masked, int64_t r,
                         Vec (&steps)[kPagedTile / kLanes]) {
  const Vec low = splat(s.low[r]), high = splat(s.high[r]);
  Vec largest = zero();
  for (int64_t i = 0; i < kPagedTile / kLanes; ++i) {
    steps[i] = load(scales + i * kLanes);
    const Vec key = splat(static_cast<float>(t.first + i * kLanes)) + lane_numbers();
    const Vec seen = masked ? select_less(key, low, zero(), select_less(key, high, steps[i], zero())) : steps[i];
    largest = max(seen, largest);
  }
  const float top = horizontal_max(largest);
  const Vec factor = splat(top > 1e-30f ? Int8Products::kLargestWeight / top : 0.0f);
  for (Vec& step : steps) step = step * factor;
  return top * (1 / Int8Products::kLargestWeight);
}

// The probabilities times the values' scales of one group of dims, as integers. None is negative; beyond count, where
// scales are zero, so are they. Of scales, a row takes the largest that it sees, whatever else the tile holds.
inline void scale_weights(const PagedScratch& s, const PagedTile& t, int64_t rows, const float* scales, bool masked) {
  constexpr int64_t kVecs = kPagedTile / kLanes;
  Vec steps[kVecs] = {};
  float step = 0;
  for (int64_t r = 0; r < rows; ++r) {
    if (r == 0 || masked) step = scale_steps(s, t, scales, masked, r, steps);
    float* p = s.logits + r * kPagedTile;
    for (int64_t j = round_up(t.count, kLanes); j < kPagedTile; j += kLanes) store(p + j, zero());  // not an old NaN
    Vec scaled[kVecs];
    for (int64_t i = 0; i < kVecs; ++i) scaled[i] = load(p + i * kLanes) * steps[i];
    for (int64_t i = 0; i < kVecs; i += 4)
      Int8Products::store_four(s.int_weights + r * kPagedTile + i * kLanes, scaled + i);
    s.weights_scale[r] = step * s.tile_factor[r];
  }
}

// Of an int8 cache: probabilities relative to the largest so far, as products in f32 want them.
inline void scale_to_largest_so_far(const PagedScratch& s, int64_t rows, int64_t count) {
  for (int64_t r = 0; r < rows; ++r)
    for (float* p = s.logits + r * kPagedTile; p < s.logits + r * kPagedTile + count; p += kLanes)
      store(p, load(p) * splat(s.tile_factor[r]));
}

template <class Pairs = Bf16Pairs>
inline void add_values(const PagedPiece& piece, const KvLayout& at, const PagedScratch& s, const PagedState& state,
                       const PagedTile& t, int64_t rows, bool masked, Ahead& ahead) {
  constexpr int64_t kGroup = KvPoolSpec::kScaleGroup;
  const KvMatrix& v = at.values;
  const float* scales = at.shared ? s.key_scales : s.value_scales;
  const bool pairs = in_bf16(kind_of_weights(piece, at));
  // Two blocks at once: neither beyond the values, nor beyond whole blocks of the matrix, which may hold more dims.
  const int64_t two_blocks_end = min_of(round_up(piece.spec.value_dim, kBlock), v.outer);
  bool in_f32 = false;
  for (int64_t c = 0; c < piece.spec.value_dim; c += kBlock) {
    const std::byte* data = t.head + v.at(c / kBlock, t.offset);
    float* out = state.out + c;
    const bool whole = v.whole(c / kBlock);
    const int64_t width = v.block_width(c / kBlock);
    if constexpr (kBf16Products) {
      if (whole && pairs) {
        if (c + 2 * kBlock <= two_blocks_end) {
          pair_product_of_two<Pairs>(rows, t.count, s.half_weights, kPagedTile, data, kBlock * v.inner, out,
                                     s.value_pad, two_block_touches(rows, at.shared), ahead);
          c += kBlock;
        } else {
          pair_product<true, Pairs>(rows, t.count, s.half_weights, kPagedTile, data, width, out, s.value_pad, ahead);
        }
        continue;
      }
    }
    if (whole && v.type == DType::bf16) {
      with_bf16_block(v.grouped(), data, width, [&](auto values) {
        lane_product(rows, t.count, s.logits, kPagedTile, values, out, s.value_pad, true, ahead);
      });
    } else if (whole && v.type == DType::f32) {
      lane_product(rows, t.count, s.logits, kPagedTile, FloatBlock{reinterpret_cast<const float*>(data), width}, out,
                   s.value_pad, true, ahead);
    } else if (whole && v.grouped()) {
      if (c % kGroup == 0) scale_weights(s, t, rows, scales + c / kGroup * kPagedTile, masked);
      const IntValues block{data, width};
      const int64_t bytes = kBlock * v.inner;
      if (kTwoBlocks && c % (2 * kBlock) == 0 && c + 2 * kBlock <= two_blocks_end) {
        int_product<2>(rows, t.count, s.int_weights, kPagedTile, block, bytes, s.weights_scale, out, s.value_pad, true,
                       ahead);
        c += kBlock;
      } else {
        int_product<1>(rows, t.count, s.int_weights, kPagedTile, block, bytes, s.weights_scale, out, s.value_pad, true,
                       ahead);
      }
    } else {
      if (v.type == DType::i8 && !in_f32) scale_to_largest_so_far(s, rows, t.count);
      in_f32 = true;  // so are all that follow
      for (int64_t j = 0; j < t.count; ++j) {
        Vec x, y;
        load_any(v, t.head, c / kBlock, t.offset + j, x, y);
        const Vec scale = splat(v.type == DType::i8 ? scales[c / kGroup * kPagedTile + j] : 1.0f);
        store(s.block + j * kBlock, x * scale);
        store(s.block + j * kBlock + kLanes, y * scale);
      }
      lane_product(rows, t.count, s.logits, kPagedTile, FloatBlock{s.block}, out, s.value_pad, true, ahead);
    }
  }
}

// masked: ALiBi, or some row does not see some of the keys.
inline void paged_tile(const PagedPiece& piece, const KvLayout& at, const PagedScratch& s, const PagedState& state,
                       int64_t rows, const PagedTile& t, const PagedTile& next, bool masked, Ahead& ahead) {
  if (piece.spec.type == DType::i8) {
    load_scales(t, at.key_scales(0), at.key_groups, at.tokens, s.key_scales);
    load_scales(t, at.value_scales(0), at.value_groups, at.tokens, s.value_scales);
  }
  if (!at.shared)
    lane_scores(piece, at, s, t, rows, ahead);
  else if (readies_keys(piece, at))
    ready_scores(piece, at, s, t, next, rows, ahead);
  else
    dot_scores(piece, at, s, t, rows, ahead);
  for (int64_t r = 0; (masked || t.count % kLanes != 0) && r < rows; ++r) mask_row(s, t, r);
  with_count<kPagedTile / kLanes>((t.count + kLanes - 1) / kLanes, [&](auto vecs) {
    constexpr int kVecs = decltype(vecs)::value;
    for (int64_t r = 0; r < rows; r += kLanes) {
      const int64_t n = min_of(kLanes, rows - r);
      switch (kind_of_weights(piece, at)) {
        case Weights::integers:
          softmax_rows<Weights::integers, kVecs>(s, state, r, n);
          break;
        case Weights::bf16:
          softmax_rows<Weights::bf16, kVecs>(s, state, r, n);
          break;
        case Weights::f32_and_bf16:
          softmax_rows<Weights::f32_and_bf16, kVecs>(s, state, r, n);
          break;
        case Weights::f32:
          softmax_rows<Weights::f32, kVecs>(s, state, r, n);
          break;
      }
    }
  });
  add_values(piece, at, s, state, t, rows, masked, ahead);
}

// How many parts (Ahead) the work on a page has.
inline int64_t page_parts(const PagedPiece& piece, const KvLayout& at, const PagedScratch& s, int64_t rows) {
  const auto tiles_of = [&](int64_t tile) { return (rows + tile - 1) / tile; };
  const int64_t tokens = piece.spec.page_tokens, tiles = tiles_of(kTileRows);
  const int64_t value_blocks = s.value_pad / kBlock;
  const int64_t touches = piece.bf16_products || piece.spec.type == DType::i8 ? 1 : lane_touches(rows);
  const int64_t values =
      piece.bf16_products && at.values.type == DType::bf16
          ? value_blocks / 2 * (tokens / 2) / kPart * tiles_of(kTwoBlockRows) * two_block_touches(rows, at.shared)
          : value_blocks * tokens / kPart * tiles * touches;
  const int64_t scores = (tokens + kBlock - 1) / kBlock * piece.spec.key_dim / kPart * tiles * touches;
  if (!at.shared) return values + scores;
  if (readies_keys(piece, at)) return values + ready_parts(tokens, s.key_pad, rows);
  const int64_t unpack = tokens / kDotKeys * s.key_pad / (2 * kBlock) * kUnpackParts;
  return values + unpack + (tokens + kDotKeys - 1) / kDotKeys * dot_parts(s.key_pad) * dot_tiles(rows);
}

// Queries of a split whose keys hold their values.
inline void split_queries(const PagedPiece& piece, const KvLayout& at, const PagedScratch& s, int64_t start,
                          int64_t rows) {
  const Tensor& turns = piece.args->key_cos;
  const bool rotated = turns.data != nullptr;
  if (rotated) {
    load_turn(piece, start, s.block);
    fetch_turn(piece, start + piece.split_tokens);
  }
  if (readies_keys(piece, at)) return pair_queries(piece, s, rows);
  if (!rotated) return;
  load_turn(piece, min_of(1, turns.rows - 1), s.step);
  turn_queries(s, turns.cols, rows);
}

// The keys of one split that some row sees, tile by tile.
inline void paged_split(const PagedPiece& piece, const KvLayout& at, const PagedScratch& s, const PagedState& state,
                        int64_t rows, int64_t split) {
  // All rows see [all_low, all_high), some see [low, high): the first row looks farthest back, the last farthest on.
  const int64_t all_high = row_at(piece, piece.row_begin).position + 1, tokens = piece.spec.page_tokens;
  const int64_t high = row_at(piece, piece.row_end - 1).position + 1, window = piece.args->window;
  const int64_t low = window > 0 ? max_of(0, all_high - window) : 0,
                all_low = window > 0 ? max_of(0, high - window) : 0;
  const bool biased = piece.args->alibi_slopes.data != nullptr;
  const auto head_of = [&](int64_t page) {
    return piece.memory + (piece.pages[page] * piece.spec.kv_heads + piece.kv_head) * at.head_bytes;
  };
  const int64_t start = split * piece.split_tokens, end = min_of(start + piece.split_tokens, high);
  // The tile that begins at position `first`, a tile's begin in its page; without keys behind the last that is seen.
  const auto tile_at = [&](int64_t first) -> PagedTile {
    if (first >= high) return {};
    const int64_t page = first / tokens, offset = first % tokens;
    const int64_t last = min_of(min_of(first + kPagedTile, (page + 1) * tokens), high);
    return {head_of(page), first, offset, first % piece.split_tokens, last - first};
  };
  const int64_t parts = page_parts(piece, at, s, rows);
  const int64_t pages_ahead = at.shared && readies_keys(piece, at) ? 2 : 1;  // ready keys reach into the next page
  if (at.shared) split_queries(piece, at, s, start, rows);
  PagedTile t = tile_at(start);
  while (t.count > 0 && t.first < end && t.first + t.count <= low) t = tile_at(t.first + t.count);
  Ahead ahead;
  for (PagedTile next; t.count > 0 && t.first < end; t = next) {
    next = tile_at(t.first + t.count);
    const int64_t coming = t.first - t.offset + pages_ahead * tokens;
    if (t.offset == 0)
      ahead = coming < high ? Ahead(head_of(coming / tokens), at.head_bytes, parts, piece.fetch_into_l1) : Ahead();
    paged_tile(piece, at, s, state, rows, t, next, biased || t.first < all_low || t.first + t.count > all_high, ahead);
  }
}

// The keys of a split to `state`, which holds nothing yet, or folded into it.
inline void meet_split(const PagedPiece& piece, const KvLayout& at, const PagedScratch& s, const PagedState& state,
                       int64_t split, bool folded) {
  const int64_t rows = state.rows;
  const PagedState sums = folded ? PagedState(piece.spec, s.split, rows) : state;
  sums.clear();
  paged_split(piece, at, s, sums, rows, split);
  if (folded) fold(state, sums, 0, rows);
}

inline void prepare_rows(const PagedPiece& piece, const KvLayout& at, const PagedScratch& s, int64_t rows) {
  load_queries(piece, s, rows);
  if (at.shared && readies_keys(piece, at)) {
    *s.ready = {};
    pair_dims(s, at, rotated_half(piece));
    lay_out_queries(piece, s, rows);
  }
}

inline void paged_splits(const PagedPiece& piece) {
  const PagedScratch s(piece.spec, piece.scratch);
  const KvLayout at(piece.spec, kPages);
  const int64_t rows = piece.row_end - piece.row_begin;
  prepare_rows(piece, at, s, rows);
  const PagedState total(piece.spec, piece.states, rows), run(piece.spec, s.run, rows);
  for (int64_t split = piece.split_begin; split < piece.split_end; ++split) {
    const bool begins = split == piece.split_begin || begins_run(split);
    const bool first_run = split / kRunSplits == piece.split_begin / kRunSplits;
    meet_split(piece, at, s, first_run ? total : run, split, !begins);
    const bool ends = split + 1 == piece.split_end || begins_run(split + 1);
    if (ends && !first_run) fold(total, run, 0, rows);
  }
}

inline void paged_split_apart(const PagedPiece& piece, int64_t split) {
  const PagedScratch s(piece.spec, piece.scratch);
  const KvLayout at(piece.spec, kPages);
  const int64_t rows = piece.row_end - piece.row_begin;
  if (!piece.continues) prepare_rows(piece, at, s, rows);
  const bool folded = piece.folded[split - piece.split_begin] != 0;
  const int64_t holder = folded ? max_of(piece.split_begin, split - split % kRunSplits) : split;
  meet_split(piece, at, s, split_state(piece, holder, rows), split, folded);
}

// Rows [begin, end) of the piece.
inline void paged_finish(const PagedPiece& piece, int64_t begin, int64_t end) {
  const int64_t rows = piece.row_end - piece.row_begin;
  const PagedState total = split_state(piece, piece.split_begin, rows);
  if (piece.folded != nullptr) fold_splits(piece, rows, begin, end);
  for (int64_t r = begin; r < end; ++r) {
    const PagedRow at = row_at(piece, piece.row_begin + r);
    float* out = row_of(piece.args->out, at.row) + at.head * piece.spec.value_dim;
    const Vec inverse = splat(1.0f / total.sum[r]);
    each_vec(piece.spec.value_dim, [&](int64_t c, auto part) {
      // + 0: a fold turns −0 into 0, and a lone split has none.
      store(out + c, fma(load(total.out + r * total.pad + c), inverse, zero()), part);
    });
    if (stores_rotated(piece.spec)) rotate_row_back(out, piece.spec.value_dim);
  }
}

}  // namespace
}  // namespace mfa
