// Figures of one candidate, from layer_cost.h: no strings, no allocation, a fraction of a microsecond each.
#pragma once

#include <array>

#include "capacity/cost.h"
#include "capacity/plan.h"

namespace mfa {

// Counts specs of one request, one after the other, in layers that it makes once and sets anew. For one thread.
class SpecCounter {
 public:
  explicit SpecCounter(const PlanRequest& request);  // which must outlive it

  // Equal to parameter_count(plan_config(spec, shape)); kTooMany where that is beyond what a model may have (2^40).
  int64_t parameters(const PlanSpec& spec) { return count_sizes(spec); }
  static constexpr int64_t kTooMany = int64_t{1} << 62;

  PlanFigures figures(const PlanSpec& spec);  // parameters == kTooMany: the others are 0

 private:
  void set(const PlanSpec& spec);
  int64_t count_sizes(const PlanSpec& spec);
  double seconds_at(const PlanSpec& spec, int64_t context, double weights_read) const;

  const PlanRequest& request_;
  CostModel model_;                                         // what stands around the layers
  std::array<std::array<CostLayer, 2>, kVariants> layers_;  // by variant: one that owns a cache, one that reads it
  std::array<LayerCost, 2> sizes_;                          // of the two kinds, without FLOPs
  std::array<int64_t, 2> counts_{};                         // layers of each kind
};

// Chooses the size that gives way so that the parameters come nearest to the request's, which may still be far.
void fit_parameters(PlanSpec& spec, const PlanRequest& request, SpecCounter& counter);

}  // namespace mfa
