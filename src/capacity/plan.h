// The planner: searches specs of all variants under budgets for those that nothing beats, before anything is trained.
// docs/planning.md explains it for users.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "capacity/hardware.h"
#include "capacity/pareto.h"
#include "capacity/plan_grid.h"
#include "capacity/plan_spec.h"

namespace mfa {

// Which size is chosen so that a given number of parameters comes out; the other two are held.
enum class GivesWay { ffn, heads, width, nothing };

// What specs are compared in: the first two should be large, the others small.
enum class Objective { ter, slsd, cost, kv, parameters };

// Which spec of the front is taken. `balanced`: nearest to the point that has the best of everything, in shares of each
// objective's logarithmic range on the front. `row`: by its number.
enum class PickRule { ter, slsd, cost, kv, parameters, balanced, row };

struct PlanRequest {
  PresetOptions shape;  // what all specs share: layers, vocabulary, training window, norms, position, shared caches
  std::vector<Variant> variants;
  std::vector<int64_t> widths;  // empty: searched around what `parameters` allow
  std::vector<int64_t> ffns;    // empty: 8/3 of the width, as the presets have it
  PlanGrid grid;

  int64_t parameters = 0;  // 0: free
  double tolerance = 0.01;
  GivesWay gives_way = GivesWay::ffn;
  double least_ffn = 2, most_ffn = 4;  // widths; bounds of an FFN that gives way

  int64_t kv_bytes = 0;  // most, per token over all layers; 0: free
  int64_t least_ter = 0, least_slsd = 0;
  std::vector<int64_t> contexts = {8192};  // tokens that a decoded token sees; the cost is their mean
  int64_t batch = 64;                      // sequences decoded together
  Hardware hardware;
  DType kv_type = DType::bf16, weights = DType::bf16;

  std::array<bool, kObjectives> compared = {true, true, true, true, true};  // by Objective
  double resolution = 0.01;  // costs and parameters nearer to each other than this share count as equal
  PickRule pick = PickRule::ter;
  size_t pick_row = 1;
};

inline int64_t longest_context(const PlanRequest& request) {
  return *std::max_element(request.contexts.begin(), request.contexts.end());
}

struct PlanFigures {
  int64_t parameters = 0;
  int64_t kv_bytes = 0;  // per token
  int64_t ter = 0, slsd = 0;
  double seconds = 0;       // a decoded token, by decode_step() of cost.h over its sequences; mean over the contexts
  double memory_bytes = 0;  // weights, and the cache of the whole batch at the longest context
};

struct PlannedSpec {
  PlanSpec spec;
  PlanFigures figures;
};

// In the order in which they are looked at: a spec that breaks one is not asked for the next.
enum class Bound { parameters, kv, memory, ter, slsd };
inline constexpr size_t kBounds = 5;

// The spec that came nearest to a bound that none kept.
struct Miss {
  Bound bound = Bound::parameters;
  PlannedSpec planned;
  double excess = 0;  // 0.1: a tenth too much, or too little
};

struct VariantOutcome {
  Variant variant = Variant::mha;
  int64_t counted = 0, within = 0, on_front = 0;
  std::optional<PlannedSpec> best;       // by the pick rule, of those within the bounds (of the front, if on it)
  std::optional<PlannedSpec> beaten_by;  // on the front: what beats `best` when the variant is not on it
  std::optional<Miss> nearest;           // when none is within the bounds
};

struct Plan {
  std::vector<PlannedSpec> specs;        // all within the bounds, in the front's order
  std::vector<PlannedSpec> front;        // by TER, then SLSD (both falling), cost, KV bytes, parameters
  size_t chosen = 0;                     // index into the front
  std::vector<VariantOutcome> outcomes;  // in the order of the request's variants
  int64_t counted = 0;
  double seconds = 0;  // wall clock of the search
};

// Throws BadInput for requests that cannot be, and when no spec keeps the bounds: it names the bound that is violated
// and the nearest that is possible.
Plan make_plan(const PlanRequest& request);

// The coordinates in which specs are compared, smaller is better; what is not compared is 0.
Objectives objectives_of(const PlanFigures& figures, const PlanRequest& request);

std::string_view name_of(Bound bound);

}  // namespace mfa
