#include "kernels/cpu/angle_table.h"

#include <algorithm>

#include "kernels/cpu/parallel_rows.h"

namespace mfa {

bool AngleTable::holds(std::span<const float* const> rows, int64_t half, int64_t split) const {
  if (split != split_ || first_rows_.size() != rows.size() * static_cast<size_t>(half)) return false;
  auto held = first_rows_.begin();
  for (const float* row : rows) {
    if (!std::equal(row, row + half, held)) return false;
    held += half;
  }
  return true;
}

const uint16_t* AngleTable::get(const KernelTable& kernels, const Tensor& cos, const Tensor& sin, int64_t split,
                                int64_t tokens) {
  const int64_t half = cos.cols, one = std::min<int64_t>(1, cos.rows - 1);
  if (2 * half % kernels.lanes != 0 || split % kKeyGroup != 0) return nullptr;
  const float* const rows[] = {cos.row<float>(0), cos.row<float>(one), sin.row<float>(0), sin.row<float>(one)};
  if (!holds(rows, half, split)) {
    split_ = split;
    tokens_ = 0;
    first_rows_.clear();
    for (const float* row : rows) first_rows_.insert(first_rows_.end(), row, row + half);
  }
  // Whole groups of keys are rotated: room for the split's end, though the last may be no tokens. Whole vectors, too.
  const int64_t padded = (half + kernels.lanes - 1) / kernels.lanes * kernels.lanes;
  auto* const angles = reinterpret_cast<uint16_t*>(memory_.floats(static_cast<size_t>(split * padded)));
  over_rows(std::max<int64_t>(0, tokens - tokens_), half, [&](int64_t begin, int64_t end) {
    kernels.paged_angles(cos, sin, tokens_ + begin, tokens_ + end, angles);
  });
  tokens_ = std::max(tokens_, tokens);
  return angles;
}

}  // namespace mfa
