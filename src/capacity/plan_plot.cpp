#include "capacity/plan_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/plot_svg.h"

namespace mfa {
namespace {

using Figure = std::function<double(const PlanFigures&)>;

// The specs of `variant` with more `rank` than any that costs as little, by rising price.
std::vector<PlotPoint> best_for_price(const Plan& plan, Variant variant, const Figure& price, const Figure& rank) {
  std::vector<PlotPoint> all, best;
  for (const PlannedSpec& planned : plan.specs)
    if (planned.spec.variant == variant) all.push_back({price(planned.figures), rank(planned.figures)});
  std::sort(all.begin(), all.end(),
            [](const PlotPoint& a, const PlotPoint& b) { return a.x != b.x ? a.x < b.x : a.y > b.y; });
  for (const PlotPoint& point : all)
    if (best.empty() || point.y > best.back().y) best.push_back(point);
  return best;
}

std::string chart(const Plan& plan, const PlotStyle& style, const Figure& price, const Figure& rank) {
  std::vector<PlotSeries> series;
  for (const VariantOutcome& outcome : plan.outcomes) {
    if (outcome.within == 0) continue;
    // Colour and shape go with the variant, whichever others are there.
    const auto index = static_cast<int>(outcome.variant);
    constexpr std::array<PlotMarker, kVariants> kMarkers = {
        PlotMarker::circle, PlotMarker::cross,    PlotMarker::plus,  PlotMarker::diamond,
        PlotMarker::square, PlotMarker::triangle, PlotMarker::circle};
    series.push_back({.name = std::string(name_of(outcome.variant)),
                      .points = best_for_price(plan, outcome.variant, price, rank),
                      .color = index,
                      .marker = kMarkers[static_cast<size_t>(outcome.variant)],
                      .steps = true});
  }
  const PlannedSpec& chosen = plan.front[plan.chosen];
  return line_chart(series, style,
                    {{.name = fmt::format("chosen: {} {}", name_of(chosen.spec.variant), sizes_text(chosen.spec)),
                      .x = price(chosen.figures),
                      .y = rank(chosen.figures)}});
}

}  // namespace

std::string plan_plot(const Plan& plan, const PlanRequest& request) {
  PlotStyle style;
  style.log_x = style.log_y = true;
  std::vector<std::string> charts;
  const Figure ter = [](const PlanFigures& f) { return static_cast<double>(f.ter); };
  const Figure slsd = [](const PlanFigures& f) { return static_cast<double>(f.slsd); };
  const Figure kv = [](const PlanFigures& f) { return static_cast<double>(f.kv_bytes); };
  const auto add = [&](std::string title, std::string x_label, const Figure& price, const Figure& rank, bool heads) {
    style.title = std::move(title);
    style.x_label = std::move(x_label);
    style.y_label = heads ? "TER (heads × rank of a head)" : "SLSD (dims that heads share)";
    charts.push_back(chart(plan, style, price, rank));
  };
  const std::string cache = fmt::format("KV bytes a token, all layers ({} cache)", kv_name(request.kv_type));
  add("Total effective rank for the cache", cache, kv, ter, true);
  add("Shared subspace for the cache", cache, kv, slsd, false);
  const double usd_per_s = request.hardware.usd_per_hour / 3600;
  const std::string machine = fmt::format("({}, batch {})", request.hardware.name, request.batch);
  if (usd_per_s > 0)
    add(
        "Total effective rank for the money", "US$ a million decoded tokens " + machine,
        [=](const PlanFigures& f) { return f.seconds * usd_per_s * 1e6; }, ter, true);
  else
    add(
        "Total effective rank for the time", "µs a decoded token " + machine,
        [](const PlanFigures& f) { return f.seconds * 1e6; }, ter, true);
  if (request.parameters == 0)
    add(
        "Total effective rank for the parameters", "parameters",
        [](const PlanFigures& f) { return static_cast<double>(f.parameters); }, ter, true);
  style.title = "Ranks of attention against what they cost";
  return stacked_charts(charts, style);
}

}  // namespace mfa
