// Scores of a tile whose keys lie apart from its values: keys in the lanes, queries broadcast. Blocks of a type or
// width that no product reads are unpacked to f32 first.
#pragma once

#include "kernels/cpu/paged_rows.inl.h"

namespace mfa {
namespace {

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
  if (m.whole(block) && m.type == DType::bf16) {
    with_bf16_block(m.grouped(), head + m.at(block, 0), width, [&](auto rows) { rows.load_row(row, x, y); });
    if (width < kBlock) y = zero();
    return;
  }
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
template <class Pairs = Bf16Pairs>
inline void lane_scores(const PagedPiece& piece, const KvLayout& at, const PagedScratch& s, const PagedTile& t,
                        int64_t rows, Ahead& ahead) {
  const int64_t dim = piece.spec.key_dim;
  for (int64_t j = 0; j < t.count; j += kBlock) {
    const int64_t block = (t.offset + j) / kBlock;
    const std::byte* data = t.head + at.keys.at(block, 0);
    float* logits = s.logits + j;
    const bool whole = at.keys.whole(block);
    const int64_t width = at.keys.block_width(block);
    if constexpr (kBf16Products) {
      if (whole && at.keys.grouped() && piece.bf16_products) {
        pair_product<false, Pairs>(rows, dim, s.half_queries, s.key_pad, data, width, logits, kPagedTile, ahead);
        continue;
      }
    }
    if (whole && at.keys.type == DType::bf16) {
      with_bf16_block(at.keys.grouped(), data, width, [&](auto keys) {
        lane_product(rows, dim, s.queries, s.key_pad, keys, logits, kPagedTile, false, ahead);
      });
    } else if (whole && at.keys.type == DType::f32) {
      lane_product(rows, dim, s.queries, s.key_pad, FloatBlock{reinterpret_cast<const float*>(data), width}, logits,
                   kPagedTile, false, ahead);
    } else if (whole && at.keys.grouped()) {
      for (int64_t g = 0; g * KvPoolSpec::kScaleGroup < dim; ++g) {
        const int64_t begin = g * KvPoolSpec::kScaleGroup, n = min_of(KvPoolSpec::kScaleGroup, dim - begin);
        const IntKeys keys{t.head + at.keys.at(block, begin), width, s.key_scales + g * kPagedTile + j,
                           s.query_offset + g * kPagedRows};
        int_product<1>(rows, n, s.int_queries + begin, s.key_pad, keys, 0, s.query_scale + g * kPagedRows, logits,
                       kPagedTile, g > 0, ahead);
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

}  // namespace
}  // namespace mfa
