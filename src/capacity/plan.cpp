#include "capacity/plan.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "capacity/plan_bounds.h"
#include "capacity/plan_count.h"
#include "capacity/plan_order.h"

namespace mfa {
namespace {

// Widths to search when only the parameters are known: those at which an FFN within its bounds, with anything from no
// attention to the widest of the default grid (16 width² of query and output, as much again for keys and values), can
// make them. A width that gives way needs but one, for the grids of heads and dims: the middle.
std::vector<int64_t> searched_widths(const PlanRequest& request) {
  const auto layers = static_cast<double>(request.shape.layers), vocab = static_cast<double>(request.shape.vocab);
  const double wanted = static_cast<double>(request.parameters);
  std::vector<int64_t> widths;
  for (int64_t width = 64; width <= 1 << 17; width += width < 1024 ? 64 : width < 4096 ? 256 : 512) {
    const auto w = static_cast<double>(width);
    const double outside = (request.shape.tied ? 1 : 2) * vocab * w;
    const double least = outside + layers * 3 * request.least_ffn * w * w;
    const double most = outside + layers * (3 * request.most_ffn + 4.0 * kMostHeadWidths) * w * w;
    if (least <= wanted * (1 + request.tolerance) && most >= wanted * (1 - request.tolerance)) widths.push_back(width);
  }
  if (request.gives_way == GivesWay::width && !widths.empty()) return {widths[widths.size() / 2]};
  // No width can have so few, or so many: what is nearest will be said.
  if (widths.empty()) widths.push_back(request.parameters < int64_t{1} << 32 ? 64 : int64_t{1} << 17);
  return widths;
}

// What is remembered of a variant while its specs pass by.
struct Tally {
  int64_t counted = 0;
  std::array<std::optional<Miss>, kBounds> nearest;  // by bound

  void missed(Bound bound, const PlannedSpec& planned, double excess) {
    std::optional<Miss>& miss = nearest[static_cast<size_t>(bound)];
    if (!miss || excess < miss->excess) miss = Miss{bound, planned, excess};
  }
  // Of the last bound that any spec came to: what stands in the way.
  std::optional<Miss> in_the_way() const {
    for (size_t i = kBounds; i-- > 0;)
      if (nearest[i]) return nearest[i];
    return std::nullopt;
  }
};

class Search {
 public:
  explicit Search(const PlanRequest& request)
      : request_(request), counter_(request), tallies_(request.variants.size()) {}

  Plan run() {
    const auto start = std::chrono::steady_clock::now();
    for (const int64_t width : request_.widths.empty() ? searched_widths(request_) : request_.widths)
      for (size_t i = 0; i < request_.variants.size(); ++i) look_at(i, width);
    Plan plan;
    for (const Tally& tally : tallies_) plan.counted += tally.counted;
    if (within_.empty()) refuse();
    plan.front = front();
    plan.chosen = pick_from_front(plan.front, request_);
    for (size_t i = 0; i < request_.variants.size(); ++i) plan.outcomes.push_back(outcome(i, plan));
    plan.specs = std::move(within_);
    plan.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return plan;
  }

 private:
  void look_at(size_t variant, int64_t width) {
    const bool solve_heads = request_.parameters > 0 && request_.gives_way == GivesWay::heads;
    const bool one_ffn = request_.parameters > 0 && request_.gives_way == GivesWay::ffn;
    const std::vector<int64_t> ffns =
        one_ffn || request_.ffns.empty() ? std::vector{default_ffn(width)} : request_.ffns;
    Tally& tally = tallies_[variant];
    for_each_attention(request_.variants[variant], width, request_.shape.position, request_.grid, solve_heads,
                       [&](const PlanSpec& attention) {
                         PlanSpec spec = attention;
                         for (const int64_t ffn : ffns) {
                           spec.ffn = static_cast<int32_t>(ffn);
                           look_at(spec, tally);
                         }
                       });
  }

  void look_at(PlanSpec& spec, Tally& tally) {
    fit_parameters(spec, request_, counter_);
    const PlannedSpec planned{spec, counter_.figures(spec)};
    ++tally.counted;
    const PlanFigures& f = planned.figures;
    const auto ratio = [](auto a, auto b) { return static_cast<double>(a) / static_cast<double>(b); };
    if (f.parameters == SpecCounter::kTooMany) return tally.missed(Bound::parameters, planned, 1e9);
    if (request_.parameters > 0) {
      const double off = std::abs(ratio(f.parameters, request_.parameters) - 1);
      if (off > request_.tolerance) return tally.missed(Bound::parameters, planned, off);
    }
    if (request_.kv_bytes > 0 && f.kv_bytes > request_.kv_bytes)
      return tally.missed(Bound::kv, planned, ratio(f.kv_bytes, request_.kv_bytes) - 1);
    const double memory = request_.hardware.memory_bytes;
    if (memory > 0 && f.memory_bytes > memory) return tally.missed(Bound::memory, planned, f.memory_bytes / memory - 1);
    if (f.ter < request_.least_ter) return tally.missed(Bound::ter, planned, 1 - ratio(f.ter, request_.least_ter));
    if (f.slsd < request_.least_slsd) return tally.missed(Bound::slsd, planned, 1 - ratio(f.slsd, request_.least_slsd));
    within_.push_back(planned);
  }

  std::vector<PlannedSpec> front() {
    const std::vector<Objectives> points = sort_for_front(within_, request_);
    std::vector<PlannedSpec> result;
    for (const uint32_t index : pareto_front(points)) result.push_back(within_[index]);
    return result;
  }

  VariantOutcome outcome(size_t index, const Plan& plan) const {
    VariantOutcome result;
    result.variant = request_.variants[index];
    result.counted = tallies_[index].counted;
    double best = 0;
    const auto consider = [&](const PlannedSpec& planned) {
      const double figure = picked_figure(request_.pick, planned.figures, request_);
      if (result.best && figure >= best) return;  // both lists are in the front's order: the first of equal ones stays
      best = figure;
      result.best = planned;
    };
    for (const PlannedSpec& planned : plan.front) {
      if (planned.spec.variant != result.variant) continue;
      ++result.on_front;
      consider(planned);
    }
    for (const PlannedSpec& planned : within_) {
      if (planned.spec.variant != result.variant) continue;
      ++result.within;
      if (result.on_front == 0) consider(planned);
    }
    if (result.within == 0) {
      result.nearest = tallies_[index].in_the_way();
    } else if (result.on_front == 0) {
      const Objectives own = objectives_of(result.best->figures, request_);
      const auto beats = [&](const PlannedSpec& p) {
        return at_least_as_good(objectives_of(p.figures, request_), own);
      };
      result.beaten_by = *std::find_if(plan.front.begin(), plan.front.end(), beats);
    }
    return result;
  }

  [[noreturn]] void refuse() const {
    std::optional<Miss> nearest;
    for (const Tally& tally : tallies_) {
      const std::optional<Miss> miss = tally.in_the_way();
      if (!miss) continue;
      if (!nearest || miss->bound > nearest->bound || (miss->bound == nearest->bound && miss->excess < nearest->excess))
        nearest = miss;
    }
    if (!nearest) bad_input("[plan] no spec on the grid: no size that was given fits a variant that was named");
    const PlanSpec& spec = nearest->planned.spec;
    bad_input("[plan] no spec keeps the bounds: {} ({}, {}, width {}, FFN {})", miss_text(*nearest, request_),
              name_of(spec.variant), sizes_text(spec), spec.width, spec.ffn);
  }

  const PlanRequest& request_;
  SpecCounter counter_;
  std::vector<Tally> tallies_;  // by index of the request's variants
  std::vector<PlannedSpec> within_;
};

}  // namespace

Plan make_plan(const PlanRequest& request) {
  check_request(request);
  return Search(request).run();
}

}  // namespace mfa
