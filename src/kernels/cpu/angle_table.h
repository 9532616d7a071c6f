// The rotations of cached keys by their offset in a split (paged_ready_keys.inl.h), in bf16 as a path's kernel reads
// them. Kept between calls: layers and steps of one model rotate alike, and a table that is written anew has to travel
// from core to core (3 % of decode with 16 heads).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/memory.h"

namespace mfa {

class AngleTable {
 public:
  // Offsets [0, tokens) of a split of `split` positions, for the rotations of PagedAttentionArgs, whose rows 0 and 1
  // determine all others. Null where no kernel could use it: half is no whole number of halves of vectors, or
  // split of groups of keys.
  const uint16_t* get(const KernelTable& kernels, const Tensor& cos, const Tensor& sin, int64_t split, int64_t tokens);

 private:
  bool holds(std::span<const float* const> rows, int64_t half, int64_t split) const;

  Scratch memory_;
  std::vector<float> first_rows_;  // cos of rows 0 and 1, sin of rows 0 and 1
  int64_t split_ = 0, tokens_ = 0;
};

}  // namespace mfa
