// Axes of plots: which range they span, where the ticks stand and what is written beside them.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace mfa {

struct Tick {
  double value = 0;
  std::string text;
};

// A mapping of numbers to [0, 1] with ticks. Logarithmic axes take positive numbers only.
class PlotAxis {
 public:
  // Spans the finite numbers of `values` (positive ones on a logarithmic axis) and a margin on each side, a share of
  // the span. No usable number: [0, 1], or [1, 10]. One number: a range around it.
  PlotAxis(std::span<const double> values, bool logarithmic, double margin, int wanted_ticks);

  bool holds(double value) const;       // finite and, on a logarithmic axis, positive
  double position(double value) const;  // 0 at the low end, 1 at the high end
  const std::vector<Tick>& ticks() const { return ticks_; }

 private:
  void make_linear_ticks(int wanted);
  void make_log_ticks(int wanted);
  double low() const;
  double high() const;

  bool logarithmic_;
  double low_ = 0, high_ = 1;  // logarithms on a logarithmic axis
  std::vector<Tick> ticks_;
};

}  // namespace mfa
