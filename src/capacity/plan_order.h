// Orders among planned specs. All are total, so that equal figures never make a result depend on chance.
#pragma once

#include <span>
#include <vector>

#include "capacity/plan.h"

namespace mfa {

// One coordinate, smaller is better: TER and SLSD negated; costs and parameters as the number of the resolution's cell.
double coordinate(Objective objective, const PlanFigures& figures, double resolution);

// Of two specs that are equal in what is compared, the one to keep: with the wider FFN, since what attention does not
// need of held parameters is the FFN's; then the better in exact figures; then the smaller sizes.
bool preferred(const PlannedSpec& a, const PlannedSpec& b);

// Sorts specs as the front is shown, by the coordinates in the order of Objective and then by preference; returns those
// coordinates in the new order. O(n log n).
std::vector<Objectives> sort_for_front(std::vector<PlannedSpec>& specs, const PlanRequest& request);

// What `rule` looks at, smaller is better; ties are for the front's order. `balanced` and `row`: as `ter`.
double picked_figure(PickRule rule, const PlanFigures& figures, const PlanRequest& request);

// Logarithms of what the request compares, smaller is better, each as a share of its range among `specs` (0 to 1; 0 for
// what is not compared): in these, distances between specs of one front mean something.
std::vector<Objectives> scaled_objectives(std::span<const PlannedSpec> specs, const PlanRequest& request);

// Index of the spec that the request picks. BadInput for a row that the front does not have.
size_t pick_from_front(std::span<const PlannedSpec> front, const PlanRequest& request);

}  // namespace mfa
