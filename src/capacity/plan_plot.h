// The plan as a picture: what rank each variant reaches for how much of each price.
#pragma once

#include <string>

#include "capacity/plan.h"

namespace mfa {

// SVG: TER and SLSD against KV bytes, TER against the cost of decoding and, where they are free, parameters. A line for
// each variant, through its best specs within the bounds; rings mark what was chosen.
std::string plan_plot(const Plan& plan, const PlanRequest& request);

}  // namespace mfa
