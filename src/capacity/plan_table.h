// How a plan is shown: a table for people, JSON for programs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "capacity/plan.h"

namespace mfa {

// Indices into the front, ascending, at most `most` (0: all): the chosen spec and each variant's best first of all,
// then by turns those with the largest distance to what is shown already, so that a long front is seen in its whole
// extent.
std::vector<size_t> shown_rows(const Plan& plan, const PlanRequest& request, size_t most);

// Table of the rows, one line a variant, what was searched and how fast.
std::string plan_text(const Plan& plan, const PlanRequest& request, const std::vector<size_t>& rows);

// Keys of `mfa plan --json`; `rows` have those of `mfa capacity`.
nlohmann::ordered_json plan_json(const Plan& plan, const PlanRequest& request, const std::vector<size_t>& rows);

}  // namespace mfa
