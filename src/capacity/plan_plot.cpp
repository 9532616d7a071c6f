#include "capacity/plan_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "base/plot_svg.h"

namespace mfa {
namespace {

using Price = std::function<double(const PlanFigures&)>;

// The specs of `variant` with more TER than any that costs as little, by rising price.
std::vector<PlotPoint> best_for_price(const Plan& plan, Variant variant, const Price& price) {
  std::vector<PlotPoint> points;
  double least = std::numeric_limits<double>::infinity();
  for (const PlannedSpec& planned : plan.specs) {  // TER falls
    const PlotPoint point = {price(planned.figures), static_cast<double>(planned.figures.ter)};
    if (planned.spec.variant != variant || point.x >= least) continue;
    least = point.x;
    if (!points.empty() && points.back().y == point.y) points.pop_back();  // as much TER for less
    points.push_back(point);
  }
  std::reverse(points.begin(), points.end());
  return points;
}

std::string chart(const Plan& plan, const PlotStyle& style, const Price& price) {
  std::vector<PlotSeries> series;
  for (const VariantOutcome& outcome : plan.outcomes) {
    if (outcome.within == 0) continue;
    // Colour and shape go with the variant, whichever others are there.
    const auto index = static_cast<int>(outcome.variant);
    constexpr std::array<PlotMarker, kVariants> kMarkers = {
        PlotMarker::circle, PlotMarker::cross,    PlotMarker::plus,  PlotMarker::diamond,
        PlotMarker::square, PlotMarker::triangle, PlotMarker::circle};
    series.push_back({.name = std::string(name_of(outcome.variant)),
                      .points = best_for_price(plan, outcome.variant, price),
                      .color = index,
                      .marker = kMarkers[static_cast<size_t>(outcome.variant)],
                      .steps = true});
  }
  const PlannedSpec& chosen = plan.front[plan.chosen];
  return line_chart(series, style,
                    {{.name = fmt::format("chosen: {} {}", name_of(chosen.spec.variant), sizes_text(chosen.spec)),
                      .x = price(chosen.figures),
                      .y = static_cast<double>(chosen.figures.ter)}});
}

}  // namespace

std::string plan_plot(const Plan& plan, const PlanRequest& request) {
  PlotStyle style{.y_label = "TER (heads × rank of a head)", .log_x = true, .log_y = true};
  std::vector<std::string> charts;
  const auto add = [&](std::string title, std::string x_label, const Price& price) {
    style.title = std::move(title);
    style.x_label = std::move(x_label);
    charts.push_back(chart(plan, style, price));
  };
  add("Rank for the cache",
      fmt::format("KV bytes a token, all layers ({} cache)",
                  request.kv_type == DType::i8 ? "int8" : name_of(request.kv_type)),
      [](const PlanFigures& f) { return static_cast<double>(f.kv_bytes); });
  const double usd_per_s = request.hardware.usd_per_hour / 3600;
  if (usd_per_s > 0)
    add("Rank for the money",
        fmt::format("US$ a million decoded tokens ({}, batch {})", request.hardware.name, request.batch),
        [=](const PlanFigures& f) { return f.seconds * usd_per_s * 1e6; });
  else
    add("Rank for the time", fmt::format("µs a decoded token ({}, batch {})", request.hardware.name, request.batch),
        [](const PlanFigures& f) { return f.seconds * 1e6; });
  if (request.parameters == 0)
    add("Rank for the parameters", "parameters",
        [](const PlanFigures& f) { return static_cast<double>(f.parameters); });
  style.title = "Total effective rank against what it costs";
  return stacked_charts(charts, style);
}

}  // namespace mfa
