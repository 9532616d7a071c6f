// One line a variant: why it was chosen, or why it lost.
#pragma once

#include <string>

#include "capacity/plan.h"

namespace mfa {

// "gqa: best TER 2,048 (16 × 128, 4 KV); mfa reaches 6,144 at −50 % KV bytes, …". Ends without '\n'.
std::string verdict_text(const VariantOutcome& outcome, const Plan& plan, const PlanRequest& request);

}  // namespace mfa
