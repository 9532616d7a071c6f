// The rotation of an int8 cache whose keys lie apart from its values: each group of 64 numbers that shares a scale is
// stored as H x, so that a number far wider than its neighbours is spread over all of them and widens the scale by an
// eighth of itself (QuaRot, arXiv 2404.00456, does so between layers). H = Hᵀ, entries ±1, H H = n I: a score is
// q · x = (H q / n) · (H x), and a sum of values is turned back by H / n. n is a power of two, so that / n is exact.
#pragma once

#include <cstdint>

#include "kernels/attention_args.h"

namespace mfa {
namespace {  // not inline: files compiled for one instruction set must not lend their copy to others

inline bool stores_rotated(const KvPoolSpec& spec) { return spec.type == DType::i8 && !spec.value_in_key; }

// x[0, n) becomes H x; n a power of two. The additions run in a fixed order, which devices share: quantised numbers
// then differ by no tie. n log2 n additions.
template <class Real>
inline void hadamard(Real* x, int64_t n) {
  for (int64_t half = n / 2; half > 0; half /= 2)
    for (int64_t begin = 0; begin < n; begin += 2 * half)
      for (int64_t i = begin; i < begin + half; ++i) {
        const Real a = x[i], b = x[i + half];
        x[i] = a + b;
        x[i + half] = a - b;
      }
}

// A vector x[0, dim) in the cache's order: group by group, and a shorter last group as powers of two, largest first.
template <class Real>
inline void rotate_groups(Real* x, int64_t dim) {
  for (int64_t part = KvPoolSpec::kScaleGroup; part > 0; part /= 2)
    for (; dim >= part; x += part, dim -= part) hadamard(x, part);
}

// The inverse of rotate_groups, and the rotation of what meets a rotated vector in a dot product.
template <class Real>
inline void rotate_groups_back(Real* x, int64_t dim) {
  for (int64_t part = KvPoolSpec::kScaleGroup; part > 0; part /= 2)
    for (; dim >= part; x += part, dim -= part) {
      hadamard(x, part);
      for (int64_t i = 0; i < part; ++i) x[i] *= Real(1) / static_cast<Real>(part);
    }
}

}  // namespace
}  // namespace mfa
