// Scores in bf16 of a tile whose keys hold its values: keys are turned from dims in the lanes, as values want them, to
// tokens in the lanes, as scores do, a vector of keys by a vector of dim pairs at a time, and rotated on the way where
// the model wants that (MFA-KR).
//
// Angles are read from a table of offsets in a split, 4·half bytes each, made once a call: R(start + offset) = R(start)
// R(offset), and R(start) turns the queries. bf16 angles are off by 2^-9 of a number at most, as bf16 keys are.
//
// Measured on Zen 4: a key of 256 dims takes 60 cycles out of L1, 31 of them to turn it (loads, splitting pairs of
// keys, shuffles, stores) and 28 to rotate it (products, rounding); a query head's products with it and its value
// take 16. Decode of 4 heads takes 0.85 of its time when all pages are in L2. Tried, without gain: angles and
// quarter turns both from a table (1.1 ×: twice the bytes from L2), blocks of dims outermost as they lie in the page
// (1.1 × at 4 heads), products from the registers where keys were turned (1.05 ×), keys fetched into L1 a group ahead.
#pragma once

#include "kernels/cpu/paged_scores.inl.h"

namespace mfa {
namespace {

// Rotations by tokens [begin, end): (cos, −sin) as [tokens / kLanes][half / kLanes][kLanes tokens][kLanes][2].
template <class Pairs = Bf16Pairs>
inline void paged_angles(const Tensor& cos, const Tensor& sin, int64_t begin, int64_t end, uint16_t* angles) {
  if constexpr (kBf16Products) {
    for (int64_t t = begin; t < end; ++t)
      for (int64_t c = 0; c < cos.cols; c += kLanes)
        Pairs::store_pairs(angles + 2 * (t / kLanes * kLanes * cos.cols + (c + t % kLanes) * kLanes),
                           load(row_of(cos, t) + c), zero() - load(row_of(sin, t) + c));
  }
}

// Whether this way can be taken: whole blocks, whole vectors of keys and angles.
inline bool turns_keys(const PagedPiece& piece, const KvLayout& at) {
  return piece.bf16_products && at.tokens % kBlock == 0 && at.keys.outer % kBlock == 0 &&
         (piece.args->key_cos.data == nullptr || piece.args->key_cos.cols % kLanes == 0);
}

// Queries as the turned keys pair their dims: rotated ones as [half / kLanes][first half, second half][kLanes], others
// as dims c and c + kLanes of each block.
template <class Pairs>
inline void pair_queries(const PagedScratch& s, const float* queries, int64_t half, int64_t rows) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* q = queries + r * s.key_pad;
    uint16_t* to = s.half_turned + r * s.key_pad;
    for (int64_t c = 0; c < half; c += kLanes) Pairs::store(to + 2 * c, Pairs::join(load(q + c), load(q + half + c)));
    for (int64_t c = 2 * half; c < s.key_pad; c += kBlock)
      Pairs::store_pairs(to + c, load(q + c), load(q + c + kLanes));
  }
}

// kLanes keys, a vector of dims at `a` and another at `b`: row pairs of two blocks of a page. To [kLanes pairs of
// dims][kBlock keys][2], each key's pairs (a_i, b_i) turned into others by `rotate` first.
template <class Pairs, class Rotate>
inline void turn_keys(const uint16_t* a, const uint16_t* b, uint16_t* to, Rotate rotate) {
  typename Pairs::Pair keys[kLanes];
  for (int i = 0; i < kLanes; i += 2, a += 2 * kBlock, b += 2 * kBlock) {
    Pairs::exchange(Pairs::load(a), Pairs::load(b), keys[i], keys[i + 1]);
    keys[i] = rotate(i, keys[i]);
    keys[i + 1] = rotate(i + 1, keys[i + 1]);
  }
  Pairs::transpose(keys);
  for (int i = 0; i < kLanes; ++i) Pairs::store(to + i * 2 * kBlock, keys[i]);
}

// Keys [j, j + kLanes) of the tile into a block of s.half_block, [key_pad / 2][kBlock keys][2].
template <class Pairs>
inline void turn_group(const PagedPiece& piece, const KvLayout& at, const PagedScratch& s, const PagedTile& t,
                       int64_t j, uint16_t* to, Ahead& ahead) {
  const int64_t half = piece.args->key_cos.data == nullptr ? 0 : piece.args->key_cos.cols;
  const auto dims_at = [&](int64_t c) {
    const auto* block = reinterpret_cast<const uint16_t*>(t.head + at.keys.at(c / kBlock, t.offset + j));
    return block + c % kBlock * 2;
  };
  for (int64_t c = 0; c < half; c += kLanes, to += kLanes * 2 * kBlock) {
    const uint16_t* angles = piece.angles + 2 * ((t.in_split + j) * half + c * kLanes);
    ahead.touch(1);
    turn_keys<Pairs>(dims_at(c), dims_at(half + c), to, [&](int i, typename Pairs::Pair key) {
      const typename Pairs::Pair angle = Pairs::load(angles + 2 * i * kLanes);
      return Pairs::join(Pairs::add(key, angle, zero()), Pairs::add(key, Pairs::quarter_turn(angle), zero()));
    });
  }
  for (int64_t c = 2 * half; c < s.key_pad; c += kBlock, to += kLanes * 2 * kBlock) {
    ahead.touch(1);
    turn_keys<Pairs>(dims_at(c), dims_at(c + kLanes), to, [](int, typename Pairs::Pair key) { return key; });
  }
}

template <class Pairs = Bf16Pairs>
inline void turned_scores(const PagedPiece& piece, const KvLayout& at, const PagedScratch& s, const PagedTile& t,
                          int64_t rows, Ahead& ahead) {
  if constexpr (kBf16Products) {
    for (int64_t j = 0; j < t.count; j += kBlock) {
      for (int64_t i = 0; i < kBlock && j + i < t.count; i += kLanes)
        turn_group<Pairs>(piece, at, s, t, j + i, s.half_block + 2 * i, ahead);
      pair_product<Pairs>(rows, s.key_pad, s.half_turned, s.key_pad, reinterpret_cast<const std::byte*>(s.half_block),
                          kBlock, s.logits + j, kPagedTile, false, ahead);
    }
  }
}

}  // namespace
}  // namespace mfa
