#include "capacity/plan_order.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>
#include <utility>

#include "base/error.h"

namespace mfa {
namespace {

// Logarithms, smaller is better; 0 for what is not compared.
Objectives log_figures(const PlannedSpec& p, const PlanRequest& request) {
  const PlanFigures& f = p.figures;
  Objectives logs = {-std::log(static_cast<double>(f.ter)), -std::log(static_cast<double>(f.slsd)), std::log(f.seconds),
                     std::log(static_cast<double>(f.kv_bytes)), std::log(static_cast<double>(f.parameters))};
  for (size_t i = 0; i < kObjectives; ++i)
    if (!request.compared[i]) logs[i] = 0;
  return logs;
}

// The nearest to the point that has the best of everything.
size_t most_balanced(std::span<const PlannedSpec> front, const PlanRequest& request) {
  size_t best = 0;
  double least = std::numeric_limits<double>::infinity();
  const std::vector<Objectives> points = scaled_objectives(front, request);
  for (size_t index = 0; index < points.size(); ++index) {
    double distance = 0;
    for (const double share : points[index]) distance += share * share;
    if (distance < least) {
      least = distance;
      best = index;
    }
  }
  return best;
}

}  // namespace

double coordinate(Objective objective, const PlanFigures& f, double resolution) {
  // Cells of a logarithmic scale: nearer numbers are mostly equal, and unlike "differ by less than", "are in one cell"
  // carries over from a and b, b and c to a and c.
  const auto cell = [&](double value) {
    return resolution > 0 ? std::floor(std::log(value) / std::log1p(resolution)) : value;
  };
  switch (objective) {
    case Objective::ter:
      return -static_cast<double>(f.ter);
    case Objective::slsd:
      return -static_cast<double>(f.slsd);
    case Objective::cost:
      return cell(f.seconds);
    case Objective::kv:
      return static_cast<double>(f.kv_bytes);
    case Objective::parameters:
      return cell(static_cast<double>(f.parameters));
  }
  return 0;
}

Objectives objectives_of(const PlanFigures& figures, const PlanRequest& request) {
  Objectives objectives{};
  for (size_t i = 0; i < kObjectives; ++i)
    if (request.compared[i]) objectives[i] = coordinate(static_cast<Objective>(i), figures, request.resolution);
  return objectives;
}

bool preferred(const PlannedSpec& a, const PlannedSpec& b) {
  const auto key = [](const PlannedSpec& p) {
    const PlanFigures& f = p.figures;
    return std::tuple(-p.spec.ffn, f.parameters, f.seconds, f.kv_bytes, -f.ter, -f.slsd);
  };
  const auto key_a = key(a), key_b = key(b);
  return key_a != key_b ? key_a < key_b : a.spec < b.spec;
}

std::vector<Objectives> sort_for_front(std::vector<PlannedSpec>& specs, const PlanRequest& request) {
  std::vector<Objectives> points;
  points.reserve(specs.size());
  for (const PlannedSpec& planned : specs) points.push_back(objectives_of(planned.figures, request));
  std::vector<uint32_t> order(specs.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return points[a] != points[b] ? points[a] < points[b] : preferred(specs[a], specs[b]);
  });
  std::vector<PlannedSpec> sorted;
  std::vector<Objectives> sorted_points;
  sorted.reserve(specs.size());
  sorted_points.reserve(specs.size());
  for (const uint32_t index : order) {
    sorted.push_back(specs[index]);
    sorted_points.push_back(points[index]);
  }
  specs = std::move(sorted);
  return sorted_points;
}

double picked_figure(PickRule rule, const PlanFigures& figures, const PlanRequest& request) {
  const bool own = rule != PickRule::balanced && rule != PickRule::row;
  return coordinate(own ? static_cast<Objective>(rule) : Objective::ter, figures, request.resolution);
}

std::vector<Objectives> scaled_objectives(std::span<const PlannedSpec> specs, const PlanRequest& request) {
  std::vector<Objectives> points;
  Objectives low, high;
  low.fill(std::numeric_limits<double>::infinity());
  high.fill(-std::numeric_limits<double>::infinity());
  for (const PlannedSpec& planned : specs) {
    points.push_back(log_figures(planned, request));
    for (size_t i = 0; i < kObjectives; ++i) {
      low[i] = std::min(low[i], points.back()[i]);
      high[i] = std::max(high[i], points.back()[i]);
    }
  }
  for (Objectives& point : points)
    for (size_t i = 0; i < kObjectives; ++i) point[i] = high[i] > low[i] ? (point[i] - low[i]) / (high[i] - low[i]) : 0;
  return points;
}

size_t pick_from_front(std::span<const PlannedSpec> front, const PlanRequest& request) {
  if (request.pick == PickRule::row) {
    if (request.pick_row < 1 || request.pick_row > front.size())
      bad_input("[plan] --pick, got row {}, expected 1 to {}: the front has no more", request.pick_row, front.size());
    return request.pick_row - 1;
  }
  if (request.pick == PickRule::balanced) return most_balanced(front, request);
  const auto before = [&](const PlannedSpec& a, const PlannedSpec& b) {
    return picked_figure(request.pick, a.figures, request) < picked_figure(request.pick, b.figures, request);
  };
  return static_cast<size_t>(std::min_element(front.begin(), front.end(), before) - front.begin());
}

}  // namespace mfa
