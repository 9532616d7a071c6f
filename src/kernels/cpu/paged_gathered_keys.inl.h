// Keys that hold their values and whose dims do not pair as they lie, gathered a group of 16 at a time: those with a
// last block of one vector, halves that end within a vector (48 dims: 24), and int8 ones, whose scales make them bf16.
//
// bf16: two loads and two stores for 16 dims of four keys. int8: some six operations for 16 dims of a key; with scores
// in bf16 then, decode of 64, 16 and 4 heads × 256 takes 0.6, 0.68 and 0.9 × the time of f32 scores (Zen 5, 32k).
#pragma once

#include "kernels/cpu/paged_shared_keys.inl.h"

namespace mfa {
namespace {

inline int64_t rotated_vectors(int64_t half) { return (half + kLanes - 1) / kLanes; }

inline int64_t rotated_half(const PagedPiece& piece) {
  return piece.args->key_cos.data == nullptr ? 0 : piece.args->key_cos.cols;
}

inline bool gathers_keys(const KvLayout& at) { return at.keys.type == DType::i8 || at.keys.outer % kBlock != 0; }

// The two vectors of 16 dims that pair u takes: dims [u, u + kLanes) and those `half` behind them while pairs are
// rotated, then the two vectors of each block.
struct PairOfVectors {
  int64_t first, second;
  PairOfVectors(int64_t u, int64_t half)
      : first(u < rotated_vectors(half) ? u : 2 * u),
        second(u < rotated_vectors(half) ? half / kLanes + u : 2 * u + 1) {}
};

// The group of keys at `token`, in vectors that pair as they lie, to s.gathered:
// [key_pad / kBlock][kKeyGroup / 2][2][kBlock]. A vector without a partner is its own, where the query has zeros.
template <class Pairs>
inline void gather_group(const PagedPiece& piece, const KvLayout& at, const PagedScratch& s, const PagedTile& t,
                         int64_t token) {
  const int64_t half = rotated_half(piece), last = at.keys.outer / kLanes - 1;
  for (int64_t u = 0; u < s.key_pad / kBlock; ++u) {
    const PairOfVectors of(u, half);
    const bool across = half % kLanes != 0;
    for (int64_t i = 0; i < kKeyGroup; i += 2) {
      const auto raw = [&](int64_t vector) {
        const int64_t v = min_of(vector, last);
        const std::byte* row = t.head + at.keys.at(v / 2, t.offset + token + i);
        return Pairs::load(reinterpret_cast<const uint16_t*>(row) + v % 2 * kBlock);
      };
      uint16_t* to = s.gathered + (u * kKeyGroup + i) * kBlock;
      Pairs::store(to, raw(of.first));
      Pairs::store(to + kBlock, across ? Pairs::across(raw(of.second), raw(of.second + 1)) : raw(of.second));
    }
  }
}

// A vector of the dims of some int8 keys in bf16, in pairs of keys, 2 · kBlock numbers from pair to pair.
template <class Pairs>
inline void unpack_keys(const int8_t* group, const float* scales, uint16_t* to) {
  const IntVec keys = Int8Products::load(group);
#pragma GCC unroll 2
  for (int i = 0; i < Int8Products::kTogether; i += 2) {
    const Vec a = Int8Products::number(keys, i) * splat(scales[i]);
    const Vec b = Int8Products::number(keys, i + 1) * splat(scales[i + 1]);
    Pairs::store(to + i * kBlock, Pairs::interleave(Pairs::join(a, b)));
  }
}

// The same of int8 keys, scaled and rounded to bf16; halves are whole vectors.
template <class Pairs>
inline void gather_int8_group(const PagedPiece& piece, const KvLayout& at, const PagedScratch& s, const PagedTile& t,
                              int64_t token) {
  constexpr int64_t kTogether = Int8Products::kTogether;
  const int64_t half = rotated_half(piece), last = at.keys.outer / kLanes - 1, row = t.offset + token;
  const auto* stored = reinterpret_cast<const uint16_t*>(t.head + at.key_scales(0)) + row;
  for (int64_t g = 0; g < at.key_groups; ++g)
    for (int64_t i = 0; i < kKeyGroup; i += kLanes)
      store(s.group_scales + g * kKeyGroup + i, load_bf16(stored + g * at.tokens + i));
  const auto unpack = [&](int64_t vector, uint16_t* to) {
    const int64_t v = min_of(vector, last), width = at.keys.block_width(v / 2);
    const auto* keys = reinterpret_cast<const int8_t*>(t.head + at.keys.at(v / 2, row)) + v % 2 * kTogether * kLanes;
    const float* scales = s.group_scales + v * kLanes / KvPoolSpec::kScaleGroup * kKeyGroup;
    for (int64_t i = 0; i < kKeyGroup; i += kTogether)
      unpack_keys<Pairs>(keys + i * width, scales + i, to + i * kBlock);
  };
  for (int64_t u = 0; u < s.key_pad / kBlock; ++u) {
    const PairOfVectors of(u, half);
    unpack(of.first, s.gathered + u * kKeyGroup * kBlock);
    unpack(of.second, s.gathered + u * kKeyGroup * kBlock + kBlock);
  }
}

// The group of keys at `token` to s.gathered, if it must be gathered.
template <class Pairs>
inline void gather_if_needed(const PagedPiece& piece, const KvLayout& at, const PagedScratch& s, const PagedTile& t,
                             int64_t token) {
  if (at.keys.type == DType::i8)
    gather_int8_group<Pairs>(piece, at, s, t, token);
  else if (gathers_keys(at))
    gather_group<Pairs>(piece, at, s, t, token);
}

}  // namespace
}  // namespace mfa
