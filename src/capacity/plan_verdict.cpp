#include "capacity/plan_verdict.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <vector>

#include "base/text_table.h"
#include "capacity/plan_bounds.h"

namespace mfa {
namespace {

struct Compared {
  std::string_view name;
  double a, b;
};

std::string share_text(double a, double b) {
  const double percent = 100 * (a / b - 1);
  return std::abs(percent) < 0.05 ? "0 %" : fmt::format("{:+.{}f} %", percent, std::abs(percent) < 10 ? 1 : 0);
}

// What small is good in: cost, KV bytes, parameters, as far as the request compares them.
std::vector<Compared> prices(const PlanFigures& a, const PlanFigures& b, const PlanRequest& request) {
  const auto number = [](int64_t n) { return static_cast<double>(n); };
  const Compared all[] = {{"cost", a.seconds, b.seconds},
                          {"KV bytes", number(a.kv_bytes), number(b.kv_bytes)},
                          {"parameters", number(a.parameters), number(b.parameters)}};
  std::vector<Compared> result;
  for (size_t i = 0; i < 3; ++i)
    if (request.compared[static_cast<size_t>(Objective::cost) + i]) result.push_back(all[i]);
  return result;
}

std::string beaten_text(const VariantOutcome& outcome, const PlanRequest& request) {
  const PlannedSpec &own = *outcome.best, &winner = *outcome.beaten_by;
  std::string text = fmt::format("best TER {} and SLSD {} ({}); {} has {} and {} ({})", grouped(own.figures.ter),
                                 grouped(own.figures.slsd), sizes_text(own.spec), name_of(winner.spec.variant),
                                 grouped(winner.figures.ter), grouped(winner.figures.slsd), sizes_text(winner.spec));
  std::vector<std::string> shares;
  for (const Compared& c : prices(winner.figures, own.figures, request))
    shares.push_back(fmt::format("{} {}", share_text(c.a, c.b), c.name));
  return text + (shares.empty() ? "" : fmt::format(" at {}", fmt::join(shares, ", ")));
}

// On the front, but another was taken: what it is behind in, and what it has to offer.
std::string passed_over_text(const VariantOutcome& outcome, const PlannedSpec& chosen, const PlanRequest& request) {
  const PlanFigures &own = outcome.best->figures, &taken = chosen.figures;
  std::vector<std::string> behind, ahead;
  const auto say = [&](bool better, const std::string& text) { (better ? ahead : behind).push_back(text); };
  if (own.ter != taken.ter)
    say(own.ter > taken.ter, fmt::format("TER {} against {}", grouped(own.ter), grouped(taken.ter)));
  if (own.slsd != taken.slsd && request.compared[static_cast<size_t>(Objective::slsd)])
    say(own.slsd > taken.slsd, fmt::format("SLSD {} against {}", grouped(own.slsd), grouped(taken.slsd)));
  for (const Compared& c : prices(own, taken, request))
    if (std::abs(c.a / c.b - 1) > request.resolution)
      say(c.a < c.b, fmt::format("{} {}", share_text(c.a, c.b), c.name));
  std::string text = fmt::format("on the front with {} spec{}, best {}", grouped(outcome.on_front),
                                 outcome.on_front == 1 ? "" : "s", sizes_text(outcome.best->spec));
  if (!behind.empty()) text += fmt::format(": behind by {}", fmt::join(behind, ", "));
  if (!ahead.empty()) text += fmt::format("; ahead by {}", fmt::join(ahead, ", "));
  return text;
}

}  // namespace

std::string verdict_text(const VariantOutcome& outcome, const Plan& plan, const PlanRequest& request) {
  const PlannedSpec& chosen = plan.front[plan.chosen];
  const auto line = [&](const std::string& words) { return fmt::format("{}: {}", name_of(outcome.variant), words); };
  if (outcome.counted == 0) return line("no spec on the grid: no size that was given fits it");
  if (outcome.within == 0)
    return line(fmt::format("none within the bounds: {} ({})", miss_text(*outcome.nearest, request),
                            sizes_text(outcome.nearest->planned.spec)));
  if (outcome.variant == chosen.spec.variant) return line(fmt::format("chosen, {}", sizes_text(chosen.spec)));
  if (outcome.on_front == 0) return line(beaten_text(outcome, request));
  return line(passed_over_text(outcome, chosen, request));
}

}  // namespace mfa
