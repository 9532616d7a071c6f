// Learning-rate schedules.
#pragma once

#include <cstdint>
#include <string_view>

namespace mfa {

enum class ScheduleKind { cosine, wsd, constant };
ScheduleKind parse_schedule(std::string_view name);
std::string_view name_of(ScheduleKind kind);

// Linear warmup from 0, then: cosine to min_ratio · peak at the last step; wsd (warmup, stable, decay): flat, then
// linear to min_ratio · peak over the last decay_share of the steps; constant: flat.
struct Schedule {
  ScheduleKind kind = ScheduleKind::cosine;
  double peak = 3e-4, min_ratio = 0.1, decay_share = 0.2;
  int64_t warmup = 0, steps = 1;

  double at(int64_t step) const;  // of step 1, 2, …, steps
};

}  // namespace mfa
