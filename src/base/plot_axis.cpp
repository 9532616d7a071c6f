#include "base/plot_axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace mfa {
namespace {

// 1, 2, 2.5 or 5 times a power of ten: the smallest such step that is at least `raw`.
double nice_step(double raw) {
  const double power = std::pow(10, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
    if (factor * power >= raw * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

// Digits after the point that `step` needs: 0.25 -> 2.
int decimals_of(double step) {
  int decimals = 0;
  while (decimals < 12 && std::abs(step - std::round(step)) > 1e-6 * step) {
    step *= 10;
    ++decimals;
  }
  return decimals;
}

// Thousands as K, millions as M, so that labels stay short; one suffix may need a decimal ("2.5K").
std::string tick_text(double value, double step) {
  const double magnitude = std::max(std::abs(value), step);
  const double unit = magnitude >= 1e9 ? 1e9 : magnitude >= 1e6 ? 1e6 : magnitude >= 1e3 ? 1e3 : 1;
  const char* suffix = unit == 1e9 ? "G" : unit == 1e6 ? "M" : unit == 1e3 ? "K" : "";
  if (value == 0) return "0";
  if (magnitude >= 1e15 || magnitude < 1e-6) return fmt::format("{:.3g}", value);
  // Without a suffix all labels have the same decimals; "1.0K" beside "500" would promise a precision for nothing.
  const int decimals = unit == 1 ? decimals_of(step) : decimals_of(std::abs(value) / unit);
  return fmt::format("{:.{}f}{}", value / unit, decimals, suffix);
}

}  // namespace

PlotAxis::PlotAxis(std::span<const double> values, bool logarithmic, double margin, int wanted_ticks)
    : logarithmic_(logarithmic) {
  bool any = false;
  for (const double value : values) {
    if (!holds(value)) continue;
    const double x = logarithmic ? std::log10(value) : value;
    low_ = any ? std::min(low_, x) : x;
    high_ = any ? std::max(high_, x) : x;
    any = true;
  }
  if (any && high_ - low_ < 1e-9 * std::max(1.0, std::abs(high_))) {  // one number: some room around it
    const double room = logarithmic ? 0.3 : std::max(0.05 * std::abs(high_), 1e-3);
    low_ -= room;
    high_ += room;
  }
  const double span = high_ - low_;
  low_ -= margin * span;
  high_ += margin * span;
  logarithmic_ ? make_log_ticks(wanted_ticks) : make_linear_ticks(wanted_ticks);
}

bool PlotAxis::holds(double value) const { return std::isfinite(value) && (!logarithmic_ || value > 0); }

double PlotAxis::position(double value) const {
  return ((logarithmic_ ? std::log10(value) : value) - low_) / (high_ - low_);
}

double PlotAxis::low() const { return logarithmic_ ? std::pow(10, low_) : low_; }
double PlotAxis::high() const { return logarithmic_ ? std::pow(10, high_) : high_; }

void PlotAxis::make_linear_ticks(int wanted) {
  const double step = nice_step((high() - low()) / wanted);
  const double first = std::ceil(low() / step - 1e-9);
  for (int i = 0; i <= 2 * wanted; ++i) {
    const double value = (first + i) * step;
    if (value > high() + 1e-9 * step) break;
    ticks_.push_back({value, tick_text(value, step)});
  }
}

// The densest of: 1-2-5 in each decade, decades, every k-th decade, that does not exceed what was wanted. Under a
// factor of about four no such set has enough ticks: then those of a linear axis, at their logarithmic places.
void PlotAxis::make_log_ticks(int wanted) {
  if (high_ - low_ < 0.6) return make_linear_ticks(wanted);
  const int first = static_cast<int>(std::floor(low_)), last = static_cast<int>(std::ceil(high_));
  const bool fine = (high_ - low_) * 3 <= wanted + 2;
  const int stride = fine ? 1 : std::max(1, static_cast<int>(std::ceil((high_ - low_) / wanted)));
  for (int decade = first; decade <= last; decade += stride) {
    const double power = std::pow(10, decade);
    for (const double factor : {1.0, 2.0, 5.0}) {
      if (factor != 1 && !fine) continue;
      const double value = factor * power, at = position(value);
      if (at >= -1e-9 && at <= 1 + 1e-9) ticks_.push_back({value, tick_text(value, value)});
    }
  }
}

}  // namespace mfa
