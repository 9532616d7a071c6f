// What a request may ask, and what is said when nothing can satisfy it.
#pragma once

#include <string>

#include "capacity/plan.h"

namespace mfa {

// BadInput names the flag, what it is and what is expected.
void check_request(const PlanRequest& request);

// "its smallest cache within the other bounds is 10,240 B a token, over 8,192": what the nearest spec is, and the
// bound.
std::string miss_text(const Miss& miss, const PlanRequest& request);

}  // namespace mfa
