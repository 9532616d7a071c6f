#include "train/schedule.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace mfa {
namespace {

constexpr std::array<std::string_view, 3> kNames = {"cosine", "wsd", "constant"};

}  // namespace

ScheduleKind parse_schedule(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == name) return static_cast<ScheduleKind>(i);
  bad_input("[schedule] unknown schedule, got {}, expected {}", name, fmt::join(kNames, ", "));
}

std::string_view name_of(ScheduleKind kind) { return kNames[static_cast<size_t>(kind)]; }

double Schedule::at(int64_t step) const {
  if (step <= warmup) return peak * static_cast<double>(step) / static_cast<double>(warmup);
  const auto done = static_cast<double>(step - warmup),
             total = static_cast<double>(std::max<int64_t>(1, steps - warmup));
  switch (kind) {
    case ScheduleKind::cosine:
      return peak *
             (min_ratio + (1 - min_ratio) * 0.5 * (1 + std::cos(std::numbers::pi * std::min(1.0, done / total))));
    case ScheduleKind::wsd: {
      const double decay = std::max(1.0, decay_share * static_cast<double>(steps));
      const double left = static_cast<double>(steps - step);
      return left >= decay ? peak : peak * (min_ratio + (1 - min_ratio) * std::max(0.0, left / decay));
    }
    case ScheduleKind::constant:
      break;
  }
  return peak;
}

}  // namespace mfa
