// What paged attention keeps of its rows while it meets the keys: scratch memory, queries made ready.
#pragma once

#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/kv_layout.h"
#include "kernels/cpu/paged_products.inl.h"
#include "kernels/cpu/paged_states.inl.h"
#include "kernels/cpu/rotate_groups.inl.h"
#include "kernels/paged_schedule.h"

namespace mfa {
namespace {

constexpr int64_t kPagedRows = kMostPagedRows / kLanes * kLanes;
constexpr int64_t kPagedTile = 64;  // keys; a page with fewer tokens is a tile
constexpr KvPath kPages = {kLanes, kBf16Products ? 2 : 1, Int8Products::kTogether};
constexpr int64_t kUnpackParts = 4;  // for Ahead: a block of keys by two blocks of dims takes the time of two parts

// Keys made ready while the keys before them were met (paged_ready_keys.inl.h).
struct ReadyKeys {
  uint16_t* group;  // the first of the next tile, or null
};

struct PagedScratch {
  float *queries, *turned, *step, *logits, *block, *key_scales, *value_scales, *weights_scale, *tile_factor,
      *query_scale, *low, *high, *slope, *position, *split, *run;  // the last two: PagedState
  Int8Products::Query* int_queries;
  Int8Products::Weight* int_weights;
  int32_t* query_offset;
  int64_t* pairs;
  ReadyKeys* ready;  // null where nothing is made ready
  // bf16 products: the same as of the floats, and keys on their way (paged_ready_keys.inl.h).
  uint16_t *half_queries, *half_turned, *half_weights, *half_keys, *gathered;
  float* group_scales;  // int8: of the keys that are gathered, [groups][kKeyGroup]
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
    turned = take(spec.value_in_key ? kPagedRows * key_pad : 0);  // by the split's start, or in pairs to be turned
    step = take(spec.value_in_key ? key_pad : 0);                 // rotation by one token: cos, sin
    logits = take(kPagedRows * kPagedTile);                       // [rows][kPagedTile]
    block = take(max_of(kBlock * max_of(key_pad, kPagedTile), kDotKeys * key_pad));
    key_scales = take(small ? key_pad / KvPoolSpec::kScaleGroup * kPagedTile + kPagedTile : 0);  // [groups][tile]
    value_scales = take(small ? value_pad / KvPoolSpec::kScaleGroup * kPagedTile + kPagedTile : 0);
    int_queries = reinterpret_cast<Int8Products::Query*>(take(small ? kPagedRows * key_pad / 2 : 0));
    int_weights = reinterpret_cast<Int8Products::Weight*>(take(small ? kPagedRows * kPagedTile / 2 : 0));
    const auto take_half = [&](bool wanted, int64_t n) {
      return reinterpret_cast<uint16_t*>(take(wanted ? n / 2 : 0));
    };
    const bool half = spec.type == DType::bf16 && kBf16Products;
    half_queries = take_half(half && !spec.value_in_key, kPagedRows * key_pad);
    half_weights = take_half(half, kPagedRows * kPagedTile);
    const int64_t groups = small ? (key_pad + KvPoolSpec::kScaleGroup - 1) / KvPoolSpec::kScaleGroup : 0;
    const bool readied = kBf16Products && spec.value_in_key && spec.type != DType::f32;
    half_turned = take_half(readied, kPagedRows * key_pad);
    half_keys = take_half(readied, 2 * kKeyGroup * key_pad);  // ready keys, two groups
    gathered = take_half(readied && (small || key_pad != spec.key_dim), kKeyGroup * key_pad);
    group_scales = take(readied ? groups * kKeyGroup : 0);
    pairs = reinterpret_cast<int64_t*>(take(readied ? 4 * (key_pad / kBlock + 1) : 0));
    ready = readied ? reinterpret_cast<ReadyKeys*>(take(sizeof(ReadyKeys) / sizeof(float))) : nullptr;
    weights_scale = take(kPagedRows);
    tile_factor = take(kPagedRows);
    query_scale = take(groups * kPagedRows);  // [groups][rows]
    query_offset = reinterpret_cast<int32_t*>(take(groups * kPagedRows));
    low = take(kPagedRows);
    high = take(kPagedRows);
    slope = take(kPagedRows);
    position = take(kPagedRows);
    split = take(paged_state(spec, kPagedRows));
    run = take(paged_state(spec, kPagedRows));
  }
};

inline int64_t paged_scratch(const KvPoolSpec& spec) { return PagedScratch(spec, nullptr).floats; }

struct PagedRow {
  int64_t row, head, position;
};
inline PagedRow row_at(const PagedPiece& piece, int64_t r) {
  const int64_t group_heads = piece.args->n_heads / piece.spec.kv_heads;
  const int64_t token = r / group_heads;
  return {piece.first_row + token, piece.kv_head * group_heads + r % group_heads, piece.first_position + token};
}

// Row r of the queries as integers, a scale for each group of dims, and what is to be added to their products with keys
// for the offset of those.
inline void quantize_query(const PagedScratch& s, int64_t r) {
  constexpr int64_t kGroup = KvPoolSpec::kScaleGroup;
  for (int64_t g = 0; g * kGroup < s.key_pad; ++g) {
    const int64_t n = min_of(kGroup, s.key_pad - g * kGroup), at = r * s.key_pad + g * kGroup;
    const float* x = s.queries + at;
    Int8Products::Query* y = s.int_queries + at;
    Vec largest = zero();
    for (int64_t i = 0; i < n; i += kLanes) largest = max(max(load(x + i), zero() - load(x + i)), largest);
    const float top = horizontal_max(largest);
    const Vec factor = splat(top > 1e-30f ? Int8Products::kLargestQuery / top : 0.0f);
    for (int64_t i = 0; i < n; i += kLanes) Int8Products::store(y + i, load(x + i) * factor);
    int32_t sum = 0;
    for (int64_t i = 0; i < n && Int8Products::kKeyOffset != 0; ++i) sum += y[i];
    s.query_scale[g * kPagedRows + r] = top / Int8Products::kLargestQuery;
    s.query_offset[g * kPagedRows + r] = -Int8Products::kKeyOffset * sum;
  }
}

// n: whole vectors.
inline void to_bf16(const float* x, int64_t n, uint16_t* y) {
  for (int64_t i = 0; i < n; i += kLanes) store_bf16(y + i, load(x + i));
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
    if (piece.bf16_products && !piece.spec.value_in_key) to_bf16(to, s.key_pad, s.half_queries + r * s.key_pad);
    if (piece.spec.type == DType::i8 && !piece.spec.value_in_key) quantize_query(s, r);
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

}  // namespace
}  // namespace mfa
