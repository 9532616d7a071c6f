// The middle of measured times, which no single interruption moves.
#pragma once

#include <algorithm>
#include <vector>

namespace mfa {

// The upper one of two middles; 0 for no values.
inline double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace mfa
