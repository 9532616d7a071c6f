// Attention over the paged cache, for decoding and for chunks of a prompt.
//
// Rows are the (token, query head) pairs of one KV head; up to kPagedRows of them meet tiles of kPagedTile keys, whose
// page (kv_layout.h) is read where it lies and unpacked in registers (paged_products.inl.h). A token costs
// numbers_per_token · size bytes and 2 · heads · (key_dim + value_dim) operations.
//   K apart from V: keys in the lanes, queries broadcast, then dims in the lanes, probabilities broadcast.
//   Values in keys: dims in the lanes; a few keys at a time are unpacked and rotated into L1, scores are dot products.
//   Rotation on read: a split's start rotates the queries, a token's offset in the split the key: R(start + offset) =
//     R(start) R(offset). An offset's angle is read from the tables every kKeyBlock tokens and turned from there: whole
//     tables would cost 8·half bytes a token, more than a bf16 key, and from L2 they take the time of the turning.
//   int8: 16-bit queries and probabilities times 8-bit keys and values, summed in 32 bits, scaled for each 64 dims.
// Slow for kv_heads = n_heads in decode (one row a tile), for page_tokens or dims that are not multiples of two vectors
// (the narrow last block is unpacked to f32 first), and for int8 with values in keys or odd sizes (f32 scores).
//
// Invariance: a row meets the keys in tiles and splits cut at fixed positions, all its sums run along keys in order,
// and splits are folded in order; a tile that a row does not see changes no bit of it (p = 0, factor e^0 = 1).
//
// Measured on Zen 3, two threads: 1.08 – 1.2 × the roofline time for 16 or 64 heads × 256 over bf16, 1.25 for 4 heads
// over f32, which the bandwidth bounds; int8 takes 0.8 × the bf16 time. Values in keys take 1.21 × the time of separate
// K and V at 16 heads, 1.08 × at 64 (bf16, 32k), 0.74 × at 4 (f32): unpacking and turning a key is a sixth of the work
// of 16 rows on it, half of its time a wait for the first touch of the key. Tried there, without gain: keys fetched
// into L1 a block ahead, longer rows against conflicts in L1, Chebyshev's recurrence, 4, 8 or 16 keys at a time, angles
// from the table alone (1.03 ×), horizontal adds (1.02 ×).
#pragma once

#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/kv_layout.h"
#include "kernels/cpu/paged_products.inl.h"
#include "kernels/cpu/rotate_groups.inl.h"

namespace mfa {
namespace {

constexpr int64_t kPagedRows = 96 / kLanes * kLanes;
constexpr int64_t kPagedTile = 64;  // keys; a page with fewer tokens is a tile
constexpr int64_t kBlock = 2 * kLanes;
constexpr int64_t kKeyBlock = 8;     // keys unpacked at a time where values live inside keys: 16 KB at 256 dims
constexpr int64_t kUnpackParts = 4;  // for Ahead: a block of keys by two blocks of dims takes the time of two parts
constexpr float kNoKeySeen = -1e30f;

// Numbers from a row of sums to the next: a cache line more than the dims, or all rows of a block of dims would lie in
// the same few sets of L1 (int8: 1.05 × the time at 64 rows of 256).
inline int64_t value_stride(const KvPoolSpec& spec) { return round_up(spec.value_dim, kBlock) + 16; }

struct PagedScratch {
  float *queries, *turned, *step, *logits, *block, *key_scales, *value_scales, *weights_scale, *query_scale, *low,
      *high, *slope, *position, *split;  // split: a PagedState
  int16_t *int_queries, *int_weights;
  int64_t floats = 0, key_pad, value_pad;
  PagedScratch(const KvPoolSpec& spec, float* memory) {
    key_pad = round_up(spec.key_dim, kBlock);
    value_pad = value_stride(spec);
    const auto take = [&](int64_t n) {
      float* piece = memory == nullptr ? nullptr : memory + floats;
      floats += round_up(n, 16);
      return piece;
    };
    const bool small = spec.type == DType::i8;
    queries = take(kPagedRows * key_pad);                         // [rows][key_pad], scaled
    turned = take(spec.value_in_key ? kPagedRows * key_pad : 0);  // rotated back by the split's start
    step = take(spec.value_in_key ? key_pad : 0);                 // rotation by one token: cos, sin
    logits = take(kPagedRows * kPagedTile);                       // [rows][kPagedTile]
    block = take(max_of(kBlock * max_of(key_pad, kPagedTile), kKeyBlock * key_pad));
    key_scales = take(small ? key_pad / KvPoolSpec::kScaleGroup * kPagedTile + kPagedTile : 0);  // [groups][tile]
    value_scales = take(small ? value_pad / KvPoolSpec::kScaleGroup * kPagedTile + kPagedTile : 0);
    int_queries = reinterpret_cast<int16_t*>(take(small ? kPagedRows * key_pad / 2 : 0));
    int_weights = reinterpret_cast<int16_t*>(take(small ? kPagedRows * kPagedTile / 2 : 0));
    weights_scale = take(kPagedRows);
    query_scale = take(kPagedRows);
    low = take(kPagedRows);
    high = take(kPagedRows);
    slope = take(kPagedRows);
    position = take(kPagedRows);
    split = take(2 * kPagedRows + kPagedRows * value_pad);
  }
};

// What a split, or all splits folded so far, know of each row.
struct PagedState {
  float *maximum, *sum, *out;  // [rows], [rows], [rows][value_pad]
  PagedState(const KvPoolSpec& spec, float* memory, int64_t rows)
      : maximum(memory),
        sum(memory + round_up(rows, kLanes)),
        out(memory + 2 * round_up(rows, kLanes)),
        rows_(rows),
        pad_(value_stride(spec)) {}
  void clear() const {
    for (int64_t r = 0; r < rows_; ++r) maximum[r] = kNoKeySeen, sum[r] = 0;
    for (int64_t i = 0; i < rows_ * pad_; ++i) out[i] = 0;
  }

 private:
  int64_t rows_, pad_;
};

inline int64_t paged_scratch(const KvPoolSpec& spec) { return PagedScratch(spec, nullptr).floats; }
inline int64_t paged_state(const KvPoolSpec& spec, int64_t rows) {
  return round_up(2 * round_up(rows, kLanes) + rows * value_stride(spec), 16);
}

struct PagedRow {
  int64_t row, head, position;
};
inline PagedRow row_at(const PagedPiece& piece, int64_t r) {
  const int64_t group_heads = piece.args->n_heads / piece.spec.kv_heads;
  const int64_t token = r / group_heads;
  return {piece.first_row + token, piece.kv_head * group_heads + r % group_heads, piece.first_position + token};
}

// y = round(x · 32767 / max |x|) for whole vectors, at least one; returns what y is to be multiplied by.
inline float to_int16(const float* x, int64_t n, int16_t* y) {
  Vec largest = zero();
  for (int64_t i = 0; i < n; i += kLanes) largest = max(max(load(x + i), zero() - load(x + i)), largest);
  const float top = horizontal_max(largest);
  const Vec factor = splat(top > 1e-30f ? 32767.0f / top : 0.0f);
  for (int64_t i = 0; i < n; i += kLanes) store_int16(y + i, load(x + i) * factor);
  return top / 32767.0f;
}

// Queries scaled, padded with zeros, and what each row sees.
inline void load_queries(const PagedPiece& piece, const PagedScratch& s, int64_t rows) {
  const Vec factor = splat(static_cast<float>(piece.args->scale));
  for (int64_t r = 0; r < rows; ++r) {
    const PagedRow at = row_at(piece, piece.row_begin + r);
    const float* q = row_of(piece.args->q, at.row) + at.head * piece.spec.key_dim;
    float* to = s.queries + r * s.key_pad;
    for (int64_t c = piece.spec.key_dim; c < s.key_pad; ++c) to[c] = 0;
    each_vec(piece.spec.key_dim, [&](int64_t c, auto part) { store(to + c, load(q + c, part) * factor, part); });
    if (stores_rotated(piece.spec)) rotate_row_back(to, piece.spec.key_dim);
    if (piece.spec.type == DType::i8) s.query_scale[r] = to_int16(to, s.key_pad, s.int_queries + r * s.key_pad);
    const int64_t low = piece.args->window > 0 ? max_of(0, at.position - piece.args->window + 1) : 0;
    s.low[r] = static_cast<float>(low);
    s.high[r] = static_cast<float>(at.position + 1);
    s.position[r] = static_cast<float>(at.position);
    s.slope[r] = piece.args->alibi_slopes.data != nullptr ? row_of(piece.args->alibi_slopes, 0)[at.head] : 0.0f;
  }
}

// Keys [first, first + count), `offset` tokens into their page and `in_split` into their split.
struct PagedTile {
  const std::byte* head;  // of the page's KV head
  int64_t first, offset, in_split, count;
};

// The tile's int8 scales as f32, [groups][kPagedTile], zeros beyond count.
inline void load_scales(const PagedTile& t, int64_t begin, int64_t groups, int64_t tokens, float* scales) {
  for (int64_t g = 0; g < groups; ++g, scales += kPagedTile) {
    const auto* stored = reinterpret_cast<const uint16_t*>(t.head + begin) + g * tokens + t.offset;
    const int64_t whole = t.count / kLanes * kLanes;
    for (int64_t j = 0; j < kPagedTile; j += kLanes) store(scales + j, j < whole ? load_bf16(stored + j) : zero());
    if (whole == t.count) continue;
    uint16_t rest[kLanes] = {};  // copied: a page of an odd number of bytes leaves them unaligned
    __builtin_memcpy(rest, stored + whole, static_cast<size_t>(t.count - whole) * sizeof *rest);
    store(scales + whole, load_bf16(rest));
  }
}

// Row `row` of a block as two vectors, zeros beyond the block's width; int8 not yet scaled.
inline void load_any(const KvMatrix& m, const std::byte* head, int64_t block, int64_t row, Vec& x, Vec& y) {
  const int64_t width = m.block_width(block);
  if (m.type == DType::i8) {
    alignas(64) float lanes[kBlock] = {};
    for (int64_t i = 0; i < width; ++i)
      lanes[i] = static_cast<float>(static_cast<int8_t>(head[m.number(block, row, i)]));
    x = load(lanes), y = load(lanes + kLanes);
    return;
  }
  const std::byte* data = head + m.at(block, row);
  if (width == kBlock && m.type == DType::bf16) return load_bf16_pair(reinterpret_cast<const uint16_t*>(data), x, y);
  const auto lanes = [&](int64_t from) {
    const auto some = [&](auto part) {
      return m.type == DType::bf16 ? load_bf16(reinterpret_cast<const uint16_t*>(data) + from, part)
                                   : load(reinterpret_cast<const float*>(data) + from, part);
    };
    return width - from >= kLanes ? some(Full{}) : width > from ? some(Part{width - from}) : zero();
  };
  x = lanes(0), y = lanes(kLanes);
}

// Scores where K lies apart: block by block of keys.
inline void lane_scores(const PagedPiece& piece, const KvLayout& at, const PagedScratch& s, const PagedTile& t,
                        int64_t rows, Ahead& ahead) {
  const int64_t dim = piece.spec.key_dim;
  for (int64_t j = 0; j < t.count; j += kBlock) {
    const int64_t block = (t.offset + j) / kBlock;
    const std::byte* data = t.head + at.keys.at(block, 0);
    float* logits = s.logits + j;
    const bool whole = at.keys.block_width(block) == kBlock;
    if (whole && at.keys.type == DType::bf16) {
      lane_product(rows, dim, s.queries, s.key_pad, Bf16Block{reinterpret_cast<const uint16_t*>(data)}, logits,
                   kPagedTile, false, ahead);
    } else if (whole && at.keys.type == DType::f32) {
      lane_product(rows, dim, s.queries, s.key_pad, FloatBlock{reinterpret_cast<const float*>(data)}, logits,
                   kPagedTile, false, ahead);
    } else if (whole && at.keys.paired()) {
      for (int64_t g = 0; g * KvPoolSpec::kScaleGroup < dim; ++g) {
        const int64_t begin = g * KvPoolSpec::kScaleGroup, n = min_of(KvPoolSpec::kScaleGroup, dim - begin);
        int_product(rows, n / 2, s.int_queries + begin, s.key_pad, t.head + at.keys.at(block, begin), s.query_scale,
                    s.key_scales + g * kPagedTile + j, logits, kPagedTile, g > 0, ahead);
      }
    } else {
      for (int64_t c = 0; c < dim; ++c) {
        Vec x, y;
        load_any(at.keys, t.head, block, c, x, y);
        if (at.keys.type == DType::i8) {
          const float* scale = s.key_scales + c / KvPoolSpec::kScaleGroup * kPagedTile + j;
          x = x * load(scale), y = y * load(scale + kLanes);
        }
        store(s.block + c * kBlock, x);
        store(s.block + c * kBlock + kLanes, y);
      }
      lane_product(rows, dim, s.queries, s.key_pad, FloatBlock{s.block}, logits, kPagedTile, false, ahead);
    }
  }
}

// Rows of a block of keys that hold their values, as pairs of vectors. Any type and width, but slow.
struct AnyBlock {
  const KvMatrix& m;
  const std::byte* head;
  int64_t block;
  const float* scales;  // int8: one a token
  void load_row(int64_t row, Vec& x, Vec& y) const {
    load_any(m, head, block, row, x, y);
    if (m.type != DType::i8) return;
    const Vec scale = splat(scales[row]);
    x = x * scale, y = y * scale;
  }
};

// f(a function that gives the block of dims [c, c + kBlock)), read as the page's type and width allow.
template <class F>
inline void with_blocks(const KvLayout& at, const PagedScratch& s, const PagedTile& t, F&& f) {
  const std::byte* data = t.head + at.keys.begin;
  const int64_t block_bytes = kBlock * at.tokens * at.keys.size();
  const bool whole = at.keys.outer % kBlock == 0;
  if (whole && at.keys.type == DType::bf16)
    f([=](int64_t c) { return Bf16Block{reinterpret_cast<const uint16_t*>(data + c / kBlock * block_bytes)}; });
  else if (whole && at.keys.type == DType::f32)
    f([=](int64_t c) { return FloatBlock{reinterpret_cast<const float*>(data + c / kBlock * block_bytes)}; });
  else
    f([&](int64_t c) {
      const float* scales = s.key_scales + c / KvPoolSpec::kScaleGroup * kPagedTile - t.offset;
      return AnyBlock{at.keys, t.head, c / kBlock, scales};
    });
}

inline void rotate_pair(Vec a, Vec b, Vec c, Vec s, float* to_a, float* to_b) {
  store(to_a, fms(a, c, b * s));
  store(to_b, fma(a, s, b * c));
}

// The angles of two vectors of pairs; next() walks on by a token, which costs their length no more than a unit in the
// last place.
struct Turning {
  Vec cos[2], sin[2], step_cos[2], step_sin[2];
  Turning(const PagedPiece& piece, const PagedScratch& s, int64_t token, int64_t c) {
    const int64_t half = piece.args->key_cos.cols;
    for (int v = 0; v < 2; ++v, c += kLanes) {
      cos[v] = load(row_of(piece.args->key_cos, token) + c);
      sin[v] = load(row_of(piece.args->key_sin, token) + c);
      step_cos[v] = load(s.step + c);
      step_sin[v] = load(s.step + half + c);
    }
  }
  void next() {
    for (int v = 0; v < 2; ++v) {
      const Vec c = fms(cos[v], step_cos[v], sin[v] * step_sin[v]);
      sin[v] = fma(sin[v], step_cos[v], cos[v] * step_sin[v]);
      cos[v] = c;
    }
  }
};

// Keys [j, j + n) of the tile to s.block [keys][key_pad], rotated by their offsets in the split. `half` whole blocks.
inline void unpack_rotated(const PagedPiece& piece, const KvLayout& at, const PagedScratch& s, const PagedTile& t,
                           int64_t j, int64_t n, Ahead& ahead) {
  const int64_t half = piece.args->key_cos.cols;
  with_blocks(at, s, t, [&](auto block_at) {
    for (int64_t c = 0; c < half; c += kBlock) {
      Turning angle(piece, s, t.in_split + j, c);
      const auto low = block_at(c), high = block_at(c + half);
      float* to = s.block + c;
      ahead.touch(kUnpackParts);
      for (int64_t i = t.offset + j; i < t.offset + j + n; ++i, to += s.key_pad, angle.next()) {
        Vec a[2], b[2];
        low.load_row(i, a[0], a[1]);
        high.load_row(i, b[0], b[1]);
        for (int v = 0; v < 2; ++v)
          rotate_pair(a[v], b[v], angle.cos[v], angle.sin[v], to + v * kLanes, to + half + v * kLanes);
      }
    }
  });
}

inline void unpack_plain(const KvLayout& at, const PagedScratch& s, const PagedTile& t, int64_t j, int64_t n,
                         int64_t from, Ahead& ahead) {
  with_blocks(at, s, t, [&](auto block_at) {
    for (int64_t c = from; c < s.key_pad; c += kBlock) {
      const auto block = block_at(c);
      ahead.touch(kUnpackParts / 2);
      for (int64_t i = 0; i < n; ++i) {
        Vec x, y;
        block.load_row(t.offset + j + i, x, y);
        store(s.block + i * s.key_pad + c, x);
        store(s.block + i * s.key_pad + c + kLanes, y);
      }
    }
  });
}

// The first 2·half numbers of x to y, rotated by (cos, sin), or back (sign −1); x and y may be the same.
inline void rotate_row(const float* x, float* y, const float* cos, const float* sin, int64_t half, float sign) {
  each_vec(half, [&](int64_t i, auto part) {
    const Vec c = load(cos + i, part), s = load(sin + i, part) * splat(sign);
    const Vec a = load(x + i, part), b = load(x + half + i, part);
    store(y + i, a * c - b * s, part);
    store(y + half + i, a * s + b * c, part);
  });
}

// Queries rotated back by the position `start` where a split begins; row 0 of the tables holds their length alone.
inline void turn_queries(const PagedPiece& piece, const PagedScratch& s, int64_t start, int64_t rows) {
  const Tensor &cosines = piece.args->key_cos, &sines = piece.args->key_sin;
  const int64_t half = cosines.cols, step = cosines.rows > 1 ? 1 : 0;
  each_vec(half, [&](int64_t i, auto part) {
    const Vec length = load(row_of(cosines, 0) + i, part);
    store(s.block + i, load(row_of(cosines, start) + i, part) / length, part);
    store(s.block + half + i, load(row_of(sines, start) + i, part) / length, part);
    store(s.step + i, load(row_of(cosines, step) + i, part) / length, part);
    store(s.step + half + i, load(row_of(sines, step) + i, part) / length, part);
  });
  for (int64_t r = 0; r < rows; ++r) {
    const float* q = s.queries + r * s.key_pad;
    float* to = s.turned + r * s.key_pad;
    rotate_row(q, to, s.block, s.block + half, half, -1);
    for (int64_t c = 2 * half; c < s.key_pad; ++c) to[c] = q[c];
  }
}

// Scores where values live inside keys: dot products.
inline void dot_scores(const PagedPiece& piece, const KvLayout& at, const PagedScratch& s, const PagedTile& t,
                       int64_t rows, Ahead& ahead) {
  const bool rotated = piece.args->key_cos.data != nullptr;
  const int64_t half = rotated ? piece.args->key_cos.cols : 0;
  const bool whole = half % kBlock == 0;
  for (int64_t j = 0; j < t.count; j += kKeyBlock) {
    const int64_t n = min_of(kKeyBlock, t.count - j);
    if (whole && rotated) unpack_rotated(piece, at, s, t, j, n, ahead);
    unpack_plain(at, s, t, j, n, whole ? 2 * half : 0, ahead);
    for (int64_t i = 0; !whole && i < n; ++i) {
      float* key = s.block + i * s.key_pad;
      rotate_row(key, key, row_of(piece.args->key_cos, t.in_split + j + i),
                 row_of(piece.args->key_sin, t.in_split + j + i), half, 1);
    }
    dot_product(rows, n, s.key_pad, rotated ? s.turned : s.queries, s.key_pad, s.block, s.key_pad, s.logits + j,
                kPagedTile, ahead);
  }
}

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

// Logits of a row to probabilities; the row's earlier sums are scaled to the new maximum.
inline void softmax_row(const PagedScratch& s, const PagedState& state, int64_t count, int64_t r) {
  float* x = s.logits + r * kPagedTile;
  Vec largest = load(x);
  for (int64_t j = kLanes; j < count; j += kLanes) largest = max(load(x + j), largest);
  const float here = horizontal_max(largest), old = state.maximum[r], top = here > old ? here : old;
  Vec sum = zero();
  for (int64_t j = 0; j < count; j += kLanes) {
    const Vec p = exp(load(x + j) - splat(top));
    sum = sum + p;
    store(x + j, p);
  }
  if (top == old) {
    state.sum[r] += horizontal_sum(sum);
    return;
  }
  const float factor = exp_of(old - top);
  state.maximum[r] = top;
  state.sum[r] = state.sum[r] * factor + horizontal_sum(sum);
  float* out = state.out + r * s.value_pad;
  for (int64_t c = 0; c < s.value_pad; c += kLanes) store(out + c, load(out + c) * splat(factor));
}

// The probabilities times the values' scales of one group of dims, as 16-bit integers; zeros to a whole vector. None is
// negative, and a row of a tile fits in registers.
inline void scale_weights(const PagedScratch& s, int64_t rows, int64_t count, const float* scales) {
  constexpr int64_t kVecs = kPagedTile / kLanes;
  const int64_t vecs = (count + kLanes - 1) / kLanes;
  const auto scale_row = [&](int64_t r, int64_t n) {
    Vec scaled[kVecs], largest = zero();
    for (int64_t i = 0; i < n; ++i) {
      scaled[i] = load(s.logits + r * kPagedTile + i * kLanes) * load(scales + i * kLanes);
      largest = max(scaled[i], largest);
    }
    const float top = horizontal_max(largest);
    const Vec factor = splat(top > 1e-30f ? 32767.0f / top : 0.0f);
    for (int64_t i = 0; i < n; ++i) store_int16(s.int_weights + r * kPagedTile + i * kLanes, scaled[i] * factor);
    s.weights_scale[r] = top / 32767.0f;
  };
  for (int64_t r = 0; r < rows; ++r) {
    if (vecs == kVecs)  // a count known when compiled: no loop, no array in memory
      scale_row(r, kVecs);
    else
      scale_row(r, vecs);
  }
}

inline void add_values(const PagedPiece& piece, const KvLayout& at, const PagedScratch& s, const PagedState& state,
                       const PagedTile& t, int64_t rows, Ahead& ahead) {
  constexpr int64_t kGroup = KvPoolSpec::kScaleGroup;
  const KvMatrix& v = at.values;
  const float* scales = at.shared ? s.key_scales : s.value_scales;
  for (int64_t c = 0; c < piece.spec.value_dim; c += kBlock) {
    const std::byte* data = t.head + v.at(c / kBlock, t.offset);
    float* out = state.out + c;
    const bool whole = v.block_width(c / kBlock) == kBlock;
    if (whole && v.type == DType::bf16) {
      lane_product(rows, t.count, s.logits, kPagedTile, Bf16Block{reinterpret_cast<const uint16_t*>(data)}, out,
                   s.value_pad, true, ahead);
    } else if (whole && v.type == DType::f32) {
      lane_product(rows, t.count, s.logits, kPagedTile, FloatBlock{reinterpret_cast<const float*>(data)}, out,
                   s.value_pad, true, ahead);
    } else if (whole && v.paired()) {
      if (c % kGroup == 0) scale_weights(s, rows, t.count, scales + c / kGroup * kPagedTile);
      int_product(rows, (t.count + 1) / 2, s.int_weights, kPagedTile, data, s.weights_scale, nullptr, out, s.value_pad,
                  true, ahead);
    } else {
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
                       int64_t rows, const PagedTile& t, bool masked, Ahead& ahead) {
  if (piece.spec.type == DType::i8) {
    load_scales(t, at.key_scales(0), at.key_groups, at.tokens, s.key_scales);
    load_scales(t, at.value_scales(0), at.value_groups, at.tokens, s.value_scales);
  }
  if (at.shared)
    dot_scores(piece, at, s, t, rows, ahead);
  else
    lane_scores(piece, at, s, t, rows, ahead);
  for (int64_t r = 0; r < rows; ++r) {
    if (masked || t.count % kLanes != 0) mask_row(s, t, r);
    softmax_row(s, state, t.count, r);
  }
  add_values(piece, at, s, state, t, rows, ahead);
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

// How many parts (Ahead) the work on a page has.
inline int64_t page_parts(const PagedPiece& piece, const KvLayout& at, const PagedScratch& s, int64_t rows) {
  const int64_t tokens = piece.spec.page_tokens, tiles = (rows + kTileRows - 1) / kTileRows;
  const int64_t values = s.value_pad / kBlock * tokens / kPart * tiles;
  if (!at.shared) return values + (tokens + kBlock - 1) / kBlock * piece.spec.key_dim / kPart * tiles;
  const int64_t unpack = tokens / kKeyBlock * s.key_pad / (2 * kBlock) * kUnpackParts;
  return values + unpack + (tokens + 3) / 4 * (s.key_pad / kLanes / kPart) * ((rows + kDotRows - 1) / kDotRows);
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
  const int64_t split_end = min_of((split + 1) * piece.split_tokens, high);
  const auto head_of = [&](int64_t page) {
    return piece.memory + (piece.pages[page] * piece.spec.kv_heads + piece.kv_head) * at.head_bytes;
  };
  if (at.shared && piece.args->key_cos.data != nullptr) turn_queries(piece, s, split * piece.split_tokens, rows);
  for (int64_t page = split * piece.split_tokens; page < split_end; page += tokens) {
    const std::byte* head = head_of(page / tokens);
    Ahead ahead;
    if (page + tokens < high) {
      ahead.next = head_of(page / tokens + 1);
      ahead.end = ahead.next + at.head_bytes;
      ahead.step = at.head_bytes / max_of(1, page_parts(piece, at, s, rows)) + 1;
    }
    for (int64_t offset = 0; offset < tokens; offset += kPagedTile) {
      const int64_t first = page + offset;
      const int64_t last = min_of(min_of(first + kPagedTile, page + tokens), split_end);
      if (first >= last || last <= low) continue;
      paged_tile(piece, at, s, state, rows, {head, first, offset, first - split * piece.split_tokens, last - first},
                 biased || first < all_low || last > all_high, ahead);
    }
  }
}

inline void paged_splits(const PagedPiece& piece) {
  const PagedScratch s(piece.spec, piece.scratch);
  const KvLayout at(piece.spec, kLanes);
  const int64_t rows = piece.row_end - piece.row_begin, pad = s.value_pad;
  load_queries(piece, s, rows);
  const PagedState total(piece.spec, piece.states, rows);
  if (!piece.separate) total.clear();
  for (int64_t split = piece.split_begin; split < piece.split_end; ++split) {
    if (piece.separate) {
      const PagedState state(piece.spec, piece.states + (split - piece.split_begin) * paged_state(piece.spec, rows),
                             rows);
      state.clear();
      paged_split(piece, at, s, state, rows, split);
      continue;
    }
    const PagedState state(piece.spec, s.split, rows);
    state.clear();
    paged_split(piece, at, s, state, rows, split);
    fold(total, state.maximum, state.sum, state.out, rows, pad);
  }
}

inline void paged_finish(const PagedPiece& piece, int64_t splits) {
  const int64_t rows = piece.row_end - piece.row_begin, pad = value_stride(piece.spec);
  const PagedState total(piece.spec, piece.states, rows);
  for (int64_t split = 1; split < splits; ++split) {
    const PagedState state(piece.spec, piece.states + split * paged_state(piece.spec, rows), rows);
    fold(total, state.maximum, state.sum, state.out, rows, pad);
  }
  for (int64_t r = 0; r < rows; ++r) {
    const PagedRow at = row_at(piece, piece.row_begin + r);
    float* out = row_of(piece.args->out, at.row) + at.head * piece.spec.value_dim;
    const Vec inverse = splat(1.0f / total.sum[r]);
    each_vec(piece.spec.value_dim,
             // + 0: a fold turns −0 into 0, and a lone split has none.
             [&](int64_t c, auto part) { store(out + c, fma(load(total.out + r * pad + c), inverse, zero()), part); });
    if (stores_rotated(piece.spec)) rotate_row_back(out, piece.spec.value_dim);
  }
}

}  // namespace
}  // namespace mfa
