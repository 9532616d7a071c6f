// A matrix in bf16 as it is and transposed, from one reading: a gradient is an operand of two products, of which one
// sums over its rows. oneDNN would transpose it block by block, each time that it meets the block.
#pragma once

#include "kernels/cpu/vec_math.inl.h"

namespace mfa {
namespace {

// Up to 2 · kLanes rows of x, `count` of them, and up to a vector of columns: as_is gets rows, turned gets columns.
template <class Pairs, class P>
inline void round_block(const float* x, int64_t x_row, int64_t count, int64_t cols, P part, uint16_t* as_is,
                        int64_t as_is_row, uint16_t* turned, int64_t turned_row) {
  typename Pairs::Pair block[kLanes];
  uint16_t rows[2][kLanes];
  for (int64_t i = 0; i < 2 * kLanes; i += 2) {
    const Vec first = i < count ? load(x + i * x_row, part) : zero();
    const Vec second = i + 1 < count ? load(x + (i + 1) * x_row, part) : zero();
    const auto both = Pairs::join(first, second);
    block[i / 2] = Pairs::interleave(both);
    if (cols == kLanes && i + 1 < count) {
      Pairs::store_halves(as_is + i * as_is_row, as_is + (i + 1) * as_is_row, both);
      continue;
    }
    Pairs::store_halves(rows[0], rows[1], both);
    for (int64_t r = i; r < min_of(i + 2, count); ++r)
      __builtin_memcpy(as_is + r * as_is_row, rows[r - i], static_cast<size_t>(cols) * sizeof(uint16_t));
  }
  Pairs::transpose(block);
  for (int64_t c = 0; c < cols; ++c) {
    if (count == 2 * kLanes) {
      Pairs::store(turned + c * turned_row, block[c]);
      continue;
    }
    uint16_t column[2 * kLanes];
    Pairs::store(column, block[c]);
    __builtin_memcpy(turned + c * turned_row, column, static_cast<size_t>(count) * sizeof(uint16_t));
  }
}

// Rows [begin, end) of x [rows][cols]: as_is [rows][cols], turned [cols][rows] with turned_row numbers a row. Denormals
// become zero where the path's products take them for zero.
template <class Pairs = Bf16Pairs>
inline void round_both_ways(const Tensor& x, uint16_t* as_is, uint16_t* turned, int64_t turned_row, int64_t begin,
                            int64_t end) {
  if constexpr (kBf16Products)
    for (int64_t r = begin; r < end; r += 2 * kLanes)
      each_vec(x.cols, [&](int64_t c, auto part) {
        round_block<Pairs>(row_of(x, r) + c, x.stride, min_of(2 * kLanes, end - r), min_of(kLanes, x.cols - c), part,
                           as_is + r * x.cols + c, x.cols, turned + c * turned_row + r, turned_row);
      });
}

}  // namespace
}  // namespace mfa
