#include "capacity/pareto.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace mfa {

std::vector<uint32_t> pareto_front(std::span<const Objectives> points) {
  // In lexicographic order a point's dominators and its equals of lower index stand before it: what is kept stays.
  std::vector<uint32_t> order(points.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(),
            [&](uint32_t a, uint32_t b) { return points[a] != points[b] ? points[a] < points[b] : a < b; });
  std::vector<Objectives> kept;  // the front's points; beside them their indices, both in the same order
  std::vector<uint32_t> front;
  for (const uint32_t index : order) {
    const Objectives& point = points[index];
    size_t at = 0;
    while (at < kept.size() && !at_least_as_good(kept[at], point)) ++at;
    if (at == kept.size()) {
      kept.push_back(point);
      front.push_back(index);
    } else {
      // Who rules out one point rules out its neighbours in the grid too: it moves halfway to the head of the list.
      std::swap(kept[at], kept[at / 2]);
      std::swap(front[at], front[at / 2]);
    }
  }
  std::sort(front.begin(), front.end());
  return front;
}

}  // namespace mfa
