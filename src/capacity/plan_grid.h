// The specs that the planner looks at: every combination of the sizes below that a variant can have.
#pragma once

#include <functional>
#include <vector>

#include "capacity/plan_spec.h"

namespace mfa {

// Values to try. An empty list stands for the default of the variant and the width, which docs/planning.md tabulates:
// the coarse one has some 10,000 combinations at one width, the full one some 500,000.
struct PlanGrid {
  std::vector<int64_t> heads, kv_heads, head_dim, q_rank, kv_rank, rope_dim;
  bool full = false;
};

// Published models have up to 2.3 (DeepSeek-V3, Step-3); beyond four widths, heads only repeat each other's subspaces.
inline constexpr int64_t kMostHeadWidths = 4;  // default grids: heads · head dim ≤ 4 · width

// Calls `visit` with each attention of `variant` at `width` on the grid, always in the same order; its ffn is 0.
// `solve_heads`: heads are not enumerated but left 0 for the caller to choose (mha's KV heads too).
void for_each_attention(Variant variant, int64_t width, PositionKind position, const PlanGrid& grid, bool solve_heads,
                        const std::function<void(const PlanSpec&)>& visit);

}  // namespace mfa
