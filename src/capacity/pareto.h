// The Pareto front: what is left when everything is thrown away that something else is at least as good as in every
// respect and better in one.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace mfa {

// Coordinates of a point, smaller is better in each; what should be large is negated, what does not count is 0
// everywhere. Finite.
inline constexpr size_t kObjectives = 5;
using Objectives = std::array<double, kObjectives>;

// a is at most b in every coordinate.
inline bool at_least_as_good(const Objectives& a, const Objectives& b) {
  for (size_t i = 0; i < kObjectives; ++i)
    if (a[i] > b[i]) return false;
  return true;
}

// a is at least as good as b, and differs: the strict order that the front is made of.
inline bool dominates(const Objectives& a, const Objectives& b) { return at_least_as_good(a, b) && a != b; }

// Indices of the points that no point dominates, ascending. Equal points are one: the lowest index stands for them.
// O(n log n + n · front) at worst; most dominated points meet their dominator early.
std::vector<uint32_t> pareto_front(std::span<const Objectives> points);

}  // namespace mfa
