// Sizes that give way to a given number of parameters. The count is affine in the FFN's inner width and in the heads,
// so two counts tell the rest; in the width it is not, but it rises.
#include <algorithm>
#include <cmath>

#include "capacity/plan_count.h"

namespace mfa {
namespace {

constexpr int64_t kStep = 8;  // of FFN and width: keeps the products' edges whole

// The multiple of `step` in [low, high], all multiples too, at which an affine count comes nearest to `wanted`.
int64_t fit_affine(double at_step, double at_two_steps, double wanted, int64_t step, int64_t low, int64_t high) {
  const double slope = at_two_steps - at_step;
  const double steps = 1 + (wanted - at_step) / slope;
  return std::clamp(step * static_cast<int64_t>(std::llround(std::clamp(steps, 1.0, 1e9))), low, high);
}

void fit_ffn(PlanSpec& spec, const PlanRequest& request, SpecCounter& counter) {
  const auto width = static_cast<double>(spec.width);
  const int64_t low = kStep * std::max<int64_t>(1, static_cast<int64_t>(std::ceil(request.least_ffn * width / kStep)));
  const int64_t high = std::max(low, kStep * static_cast<int64_t>(std::floor(request.most_ffn * width / kStep)));
  spec.ffn = kStep;
  const auto once = static_cast<double>(counter.parameters(spec));
  // One more unit costs 3 · width a layer, and its two biases: that spares the second count, a third of the search.
  const double unit = static_cast<double>(request.shape.layers) * (3 * width + (request.shape.ffn_bias ? 2 : 0));
  spec.ffn = static_cast<int32_t>(
      fit_affine(once, once + kStep * unit, static_cast<double>(request.parameters), kStep, low, high));
}

void fit_heads(PlanSpec& spec, const PlanRequest& request, SpecCounter& counter) {
  const bool own = spec.variant == Variant::mha || spec.variant == Variant::mla;
  const int64_t step = spec.variant == Variant::gqa ? spec.kv_heads : 1;
  const auto set = [&](int64_t heads) {
    spec.heads = static_cast<int32_t>(heads);
    if (own) spec.kv_heads = spec.heads;
  };
  const auto count = [&](int64_t heads) {
    set(heads);
    return static_cast<double>(counter.parameters(spec));
  };
  const double once = count(step), twice = count(2 * step);
  const int64_t low = spec.variant == Variant::gqa ? 2 * step : step, high = (int64_t{1} << 20) / step * step;
  set(fit_affine(once, twice, static_cast<double>(request.parameters), step, low, std::max(low, high)));
}

void fit_width(PlanSpec& spec, const PlanRequest& request, SpecCounter& counter) {
  const auto count = [&](int64_t width) {
    spec.width = static_cast<int32_t>(width);
    if (spec.variant == Variant::fpba) spec.head_dim = spec.width;
    spec.ffn = static_cast<int32_t>(request.ffns.empty() ? default_ffn(width) : request.ffns.front());
    return counter.parameters(spec);
  };
  // The smallest multiple of the step with at least the wanted count; it or its neighbour below is nearest.
  int64_t low = 1, high = (int64_t{1} << 17) / kStep;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    count(kStep * middle) < request.parameters ? low = middle + 1 : high = middle;
  }
  const int64_t above = count(kStep * low) - request.parameters;
  if (low > 1 && request.parameters - count(kStep * (low - 1)) > above) count(kStep * low);
}

}  // namespace

void fit_parameters(PlanSpec& spec, const PlanRequest& request, SpecCounter& counter) {
  if (request.parameters == 0) return;
  switch (request.gives_way) {
    case GivesWay::ffn:
      return fit_ffn(spec, request, counter);
    case GivesWay::heads:
      return fit_heads(spec, request, counter);
    case GivesWay::width:
      return fit_width(spec, request, counter);
    case GivesWay::nothing:
      break;
  }
}

}  // namespace mfa
