// Small plots as SVG text: no scripts, no outside resources, readable on light and dark pages.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mfa {

struct PlotPoint {
  double x = 0, y = 0;
};

enum class PlotMarker { none, circle, square, triangle, diamond, cross, plus };

// A line. Points with a coordinate that is not finite (or not positive on a logarithmic axis) interrupt it.
struct PlotSeries {
  std::string name;               // its legend entry; empty: none, for a second seed of the same thing
  std::vector<PlotPoint> points;  // in the order of x
  int color = 0;                  // index into the palette of eight; repeats after that
  bool dashed = false, faint = false;
  PlotMarker marker = PlotMarker::none;  // drawn at every point, and in the legend
  bool steps = false;                    // goes level to the next x and then straight to its y, as a front does
};

// A point with a name beside it and a vertical bar from low to high (for instance the spread over seeds).
struct PlotMark {
  std::string name;
  double x = 0, y = 0;
  double low = 0, high = 0;  // equal: no bar
  int color = 0;
};

struct PlotStyle {
  std::string title, x_label, y_label;
  bool log_x = false, log_y = false;
  int width = 720, height = 400;  // SVG units; the picture scales to the width of the page
};

// Series of more than 500 points are drawn as the means of 500 runs of neighbours: the picture has no more room.
// Series with markers are drawn as they are. `notes` are named points, drawn as rings above all lines.
std::string line_chart(const std::vector<PlotSeries>& series, const PlotStyle& style,
                       const std::vector<PlotMark>& notes = {});
std::string scatter_chart(const std::vector<PlotMark>& marks, const PlotStyle& style);

// Charts of one width below each other in one picture.
std::string stacked_charts(const std::vector<std::string>& charts, const PlotStyle& style);

// The four characters that HTML and SVG reserve (& < > "), and control characters, which neither allows.
std::string escape_markup(std::string_view text);

}  // namespace mfa
