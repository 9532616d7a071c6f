#include "base/plot_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

#include "base/plot_axis.h"

namespace mfa {
namespace {

// Mid-luminance colours that stand out on white and on dark grey, told apart by most colour-blind readers
// (after Okabe and Ito, 2008, with the yellow darkened).
constexpr std::array<std::string_view, 8> kPalette = {"#2f7fc1", "#d9601a", "#1a9a76", "#c2559d",
                                                      "#b98a00", "#7a6fd0", "#4aa3c7", "#8a8a8a"};
constexpr double kLegendLine = 20, kCharacter = 6.6;  // height of an entry; width of one letter at 12 px

std::string_view palette(int color) { return kPalette[static_cast<size_t>(std::max(0, color)) % kPalette.size()]; }

constexpr std::string_view kCss =
    "<style>"
    ".mp-t,.mp-h,.mp-l{font-family:system-ui,sans-serif;font-size:12px;fill:#333}"
    ".mp-l{paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}"  // legible over lines
    ".mp-h{font-size:15px;font-weight:600;fill:#111}"
    ".mp-g{stroke:#ccc;stroke-opacity:.6;stroke-width:1}.mp-a{stroke:#777;stroke-width:1}"
    ".mp-r{fill:none;stroke:#333;stroke-width:1.6}"
    "@media "
    "(prefers-color-scheme:dark){.mp-t,.mp-l{fill:#ccc}.mp-l{stroke:#111}.mp-h{fill:#eee}.mp-g{stroke:#666}.mp-a{"
    "stroke:#aaa}"
    ".mp-r{stroke:#ccc}}"
    "</style>\n";

size_t letters(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

struct Box {
  double x0, y0, x1, y1;
  bool overlaps(const Box& other) const { return x0 < other.x1 && other.x0 < x1 && y0 < other.y1 && other.y0 < y1; }
  bool inside(const Box& other) const { return x0 >= other.x0 && x1 <= other.x1 && y0 >= other.y0 && y1 <= other.y1; }
};

// The picture: a plotting rectangle with axes, into which the charts draw.
class Canvas {
 public:
  Canvas(const PlotStyle& style, PlotAxis x, PlotAxis y, double right)
      : style_(style), x_(std::move(x)), y_(std::move(y)) {
    area_ = {66, style.title.empty() ? 14.0 : 40.0, style.width - right, style.height - 52.0};
    add("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\" "
        "aria-label=\"{2}\" style=\"max-width:100%;height:auto\">\n",
        style.width, style.height, escape_markup(style.title));
    svg_ += kCss;
    if (!style.title.empty()) text("mp-h", area_.x0, 24, "start", style.title);
    draw_axes();
  }

  const Box& area() const { return area_; }
  double x(double value) const { return area_.x0 + x_.position(value) * (area_.x1 - area_.x0); }
  double y(double value) const { return area_.y1 - y_.position(value) * (area_.y1 - area_.y0); }
  bool holds(PlotPoint p) const { return x_.holds(p.x) && y_.holds(p.y); }
  bool holds_y(double value) const { return y_.holds(value); }

  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(svg_), format, std::forward<Args>(args)...);
  }
  void line(std::string_view kind, double x0, double y0, double x1, double y1) {
    add("<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", kind, x0, y0, x1, y1);
  }
  void text(std::string_view kind, double x, double y, std::string_view anchor, std::string_view words) {
    add("<text class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", kind, x, y, anchor,
        escape_markup(words));
  }
  std::string finish() && { return std::move(svg_) + "</svg>\n"; }

 private:
  void draw_axes() {
    for (const Tick& tick : x_.ticks()) {
      line("mp-g", x(tick.value), area_.y0, x(tick.value), area_.y1);
      text("mp-t", x(tick.value), area_.y1 + 17, "middle", tick.text);
    }
    for (const Tick& tick : y_.ticks()) {
      line("mp-g", area_.x0, y(tick.value), area_.x1, y(tick.value));
      text("mp-t", area_.x0 - 7, y(tick.value) + 4, "end", tick.text);
    }
    line("mp-a", area_.x0, area_.y1, area_.x1, area_.y1);
    line("mp-a", area_.x0, area_.y0, area_.x0, area_.y1);
    text("mp-t", (area_.x0 + area_.x1) / 2, area_.y1 + 40, "middle", style_.x_label);
    const double middle = (area_.y0 + area_.y1) / 2;
    add("<text class=\"mp-t\" x=\"16\" y=\"{0:.1f}\" text-anchor=\"middle\" transform=\"rotate(-90 16 {0:.1f})\">{1}"
        "</text>\n",
        middle, escape_markup(style_.y_label));
  }

  const PlotStyle& style_;
  PlotAxis x_, y_;
  Box area_{};
  std::string svg_;
};

std::vector<PlotPoint> thinned(const std::vector<PlotPoint>& points) {
  constexpr size_t kMost = 500;
  if (points.size() <= kMost) return points;
  std::vector<PlotPoint> means;
  for (size_t i = 0; i < kMost; ++i) {
    const size_t begin = i * points.size() / kMost, end = (i + 1) * points.size() / kMost;
    PlotPoint sum;
    for (size_t p = begin; p < end; ++p) sum = {sum.x + points[p].x, sum.y + points[p].y};
    const auto count = static_cast<double>(end - begin);
    means.push_back({sum.x / count, sum.y / count});
  }
  return means;
}

// A shape around a point; with the series' own colour it is told apart without seeing colours too.
void draw_marker(Canvas& canvas, PlotMarker marker, double x, double y, std::string_view color) {
  const auto filled = [&](std::string_view shape) {
    canvas.add("<path transform=\"translate({:.1f} {:.1f})\" d=\"{}\" fill=\"{}\"/>\n", x, y, shape, color);
  };
  const auto stroked = [&](std::string_view shape) {
    canvas.add("<path transform=\"translate({:.1f} {:.1f})\" d=\"{}\" stroke=\"{}\" stroke-width=\"1.8\"/>\n", x, y,
               shape, color);
  };
  switch (marker) {
    case PlotMarker::none:
      return;
    case PlotMarker::circle:
      return canvas.add("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.4\" fill=\"{}\"/>\n", x, y, color);
    case PlotMarker::square:
      return filled("M-3-3h6v6h-6z");
    case PlotMarker::triangle:
      return filled("M0-4.2L3.9 3H-3.9z");
    case PlotMarker::diamond:
      return filled("M0-4.4L4.4 0L0 4.4L-4.4 0z");
    case PlotMarker::cross:
      return stroked("M-3-3L3 3M-3 3L3-3");
    case PlotMarker::plus:
      return stroked("M-4 0H4M0-4V4");
  }
}

void draw_series(Canvas& canvas, const PlotSeries& series) {
  std::string path;
  bool pen_down = false;
  const bool whole = series.marker != PlotMarker::none;
  const std::vector<PlotPoint> points = whole ? series.points : thinned(series.points);
  for (const PlotPoint& p : points) {
    if (canvas.holds(p) && pen_down && series.steps) {
      fmt::format_to(std::back_inserter(path), "H{:.1f}V{:.1f}", canvas.x(p.x), canvas.y(p.y));
    } else if (canvas.holds(p)) {
      fmt::format_to(std::back_inserter(path), "{}{:.1f} {:.1f}", pen_down ? "L" : "M", canvas.x(p.x), canvas.y(p.y));
    }
    pen_down = canvas.holds(p);
  }
  if (path.empty()) return;
  canvas.add(
      "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" stroke-linejoin=\"round\" "
      "stroke-linecap=\"round\"{}{}/>\n",
      path, palette(series.color), series.faint ? 1.1 : 1.8, series.dashed ? " stroke-dasharray=\"5 4\"" : "",
      series.faint ? " stroke-opacity=\".45\"" : "");
  for (const PlotPoint& p : points)
    if (canvas.holds(p)) draw_marker(canvas, series.marker, canvas.x(p.x), canvas.y(p.y), palette(series.color));
}

void draw_legend(Canvas& canvas, const std::vector<PlotSeries>& series) {
  double y = canvas.area().y0 + 10;
  const double x = canvas.area().x1 + 14;
  for (const PlotSeries& s : series) {
    if (s.name.empty()) continue;
    canvas.add("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\" stroke-width=\"2.5\"{}/>\n",
               x, y - 4, x + 20, y - 4, palette(s.color), s.dashed ? " stroke-dasharray=\"5 4\"" : "");
    draw_marker(canvas, s.marker, x + 10, y - 4, palette(s.color));
    canvas.text("mp-t", x + 27, y, "start", s.name);
    y += kLegendLine;
  }
}

double legend_width(const std::vector<PlotSeries>& series) {
  size_t longest = 0;
  for (const PlotSeries& s : series) longest = std::max(longest, letters(s.name));
  return longest == 0 ? 18 : 46 + kCharacter * static_cast<double>(longest);
}

// Puts a name at the first of eight places around its mark that covers no mark and no other name.
Box place_label(const std::string& name, double x, double y, const Box& area, const std::vector<Box>& taken) {
  const double width = kCharacter * static_cast<double>(letters(name)), height = 13, gap = 8;
  const std::array<std::array<double, 2>, 8> corners = {{{x + gap, y - height / 2},
                                                         {x - gap - width, y - height / 2},
                                                         {x - width / 2, y - gap - height},
                                                         {x - width / 2, y + gap},
                                                         {x + gap, y - gap - height},
                                                         {x + gap, y + gap},
                                                         {x - gap - width, y - gap - height},
                                                         {x - gap - width, y + gap}}};
  const auto box_at = [&](const std::array<double, 2>& c) { return Box{c[0], c[1], c[0] + width, c[1] + height}; };
  for (const auto& corner : corners) {
    const Box box = box_at(corner);
    const bool clear = std::none_of(taken.begin(), taken.end(), [&](const Box& other) { return box.overlaps(other); });
    if (clear && box.inside(area)) return box;
  }
  return box_at(corners[0]);
}

// Anchored on the side of its mark, since the true width of the letters is only guessed.
void draw_label(Canvas& canvas, const std::string& name, const Box& box, double mark_x) {
  const double baseline = box.y1 - 2.5;
  if (box.x0 > mark_x) return canvas.text("mp-l", box.x0, baseline, "start", name);
  if (box.x1 < mark_x) return canvas.text("mp-l", box.x1, baseline, "end", name);
  canvas.text("mp-l", mark_x, baseline, "middle", name);
}

void draw_mark(Canvas& canvas, const PlotMark& mark) {
  const double x = canvas.x(mark.x), y = canvas.y(mark.y);
  if (mark.high > mark.low && canvas.holds_y(mark.low) && canvas.holds_y(mark.high)) {
    const double low = canvas.y(mark.low), high = canvas.y(mark.high);
    canvas.add(
        "<path d=\"M{0:.1f} {1:.1f}V{2:.1f}M{3:.1f} {1:.1f}h8M{3:.1f} {2:.1f}h8\" stroke=\"{4}\" "
        "stroke-width=\"1.4\" fill=\"none\"/>\n",
        x, low, high, x - 4, palette(mark.color));
  }
  canvas.add("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5\" fill=\"{}\"/>\n", x, y, palette(mark.color));
}

void draw_notes(Canvas& canvas, const std::vector<PlotMark>& notes) {
  std::vector<Box> taken;
  for (const PlotMark& note : notes) {
    if (!canvas.holds({note.x, note.y})) continue;
    const double x = canvas.x(note.x), y = canvas.y(note.y);
    canvas.add("<circle class=\"mp-r\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"8\"/>\n", x, y);
    taken.push_back({x - 9, y - 9, x + 9, y + 9});
    const Box box = place_label(note.name, x, y, canvas.area(), taken);
    draw_label(canvas, note.name, box, x);
    taken.push_back(box);
  }
}

}  // namespace

std::string escape_markup(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? ' ' : c;
    }
  }
  return out;
}

std::string line_chart(const std::vector<PlotSeries>& series, const PlotStyle& style,
                       const std::vector<PlotMark>& notes) {
  std::vector<double> xs, ys;
  for (const PlotSeries& s : series) {
    for (const PlotPoint& p : s.marker != PlotMarker::none ? s.points : thinned(s.points)) {
      xs.push_back(p.x);
      ys.push_back(p.y);
    }
  }
  const bool marked =
      std::any_of(series.begin(), series.end(), [](const PlotSeries& s) { return s.marker != PlotMarker::none; });
  Canvas canvas(style, PlotAxis(xs, style.log_x, marked ? 0.04 : 0, 6),
                PlotAxis(ys, style.log_y, marked ? 0.08 : 0.04, 6), legend_width(series));
  for (const PlotSeries& s : series) draw_series(canvas, s);
  draw_legend(canvas, series);
  draw_notes(canvas, notes);
  return std::move(canvas).finish();
}

std::string stacked_charts(const std::vector<std::string>& charts, const PlotStyle& style) {
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\" "
      "aria-label=\"{2}\" style=\"max-width:100%;height:auto\">\n",
      style.width, style.height * static_cast<int>(charts.size()), escape_markup(style.title));
  int y = 0;
  for (std::string chart : charts) {
    // Inside a picture, a height of "auto" would be that of the whole picture.
    constexpr std::string_view kFluid = " style=\"max-width:100%;height:auto\"";
    if (const size_t at = chart.find(kFluid); at != std::string::npos) chart.erase(at, kFluid.size());
    svg += fmt::format("<g transform=\"translate(0 {})\">\n{}</g>\n", y, chart);
    y += style.height;
  }
  return svg + "</svg>\n";
}

std::string scatter_chart(const std::vector<PlotMark>& marks, const PlotStyle& style) {
  std::vector<double> xs, ys;
  for (const PlotMark& mark : marks) {
    xs.push_back(mark.x);
    ys.insert(ys.end(), {mark.y, mark.low, mark.high});
  }
  Canvas canvas(style, PlotAxis(xs, style.log_x, 0.12, 7), PlotAxis(ys, style.log_y, 0.12, 6), 24);
  std::vector<PlotMark> shown;
  std::copy_if(marks.begin(), marks.end(), std::back_inserter(shown), [&](const PlotMark& mark) {
    return canvas.holds({mark.x, mark.y});
  });
  std::vector<Box> taken;
  for (const PlotMark& mark : shown) {
    draw_mark(canvas, mark);
    const double x = canvas.x(mark.x), y = canvas.y(mark.y);
    const bool bar = mark.high > mark.low && canvas.holds_y(mark.low);
    taken.push_back({x - 6, bar ? canvas.y(mark.high) : y - 6, x + 6, bar ? canvas.y(mark.low) : y + 6});
  }
  for (const PlotMark& mark : shown) {
    const Box box = place_label(mark.name, canvas.x(mark.x), canvas.y(mark.y), canvas.area(), taken);
    draw_label(canvas, mark.name, box, canvas.x(mark.x));
    taken.push_back(box);
  }
  return std::move(canvas).finish();
}

}  // namespace mfa
