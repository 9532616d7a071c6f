#include "base/plot_svg.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/plot_axis.h"

namespace mfa {
namespace {

std::vector<std::string> texts(const PlotAxis& axis) {
  std::vector<std::string> result;
  for (const Tick& tick : axis.ticks()) result.push_back(tick.text);
  return result;
}

size_t count(const std::string& text, std::string_view part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(PlotAxis, PutsLinearTicksAtRoundNumbers) {
  const std::vector<double> values = {0, 2000};
  EXPECT_EQ(texts(PlotAxis(values, false, 0, 6)), (std::vector<std::string>{"0", "500", "1K", "1.5K", "2K"}));
  const std::vector<double> losses = {2.39, 2.5};
  const PlotAxis axis(losses, false, 0, 6);
  EXPECT_EQ(texts(axis), (std::vector<std::string>{"2.40", "2.42", "2.44", "2.46", "2.48", "2.50"}));
  EXPECT_DOUBLE_EQ(axis.position(2.39), 0);
  EXPECT_DOUBLE_EQ(axis.position(2.5), 1);
}

TEST(PlotAxis, PutsLogarithmicTicksAtDecades) {
  const std::vector<double> wide = {1, 1e6};
  EXPECT_EQ(texts(PlotAxis(wide, true, 0, 6)), (std::vector<std::string>{"1", "10", "100", "1K", "10K", "100K", "1M"}));
  const std::vector<double> narrow = {10, 200};
  EXPECT_EQ(texts(PlotAxis(narrow, true, 0, 6)), (std::vector<std::string>{"10", "20", "50", "100", "200"}));
  EXPECT_NEAR(PlotAxis(wide, true, 0, 6).position(1000), 0.5, 1e-12);
}

TEST(PlotAxis, HasAtLeastTwoTicksForAnyRange) {
  for (const double low : {1e-9, 0.003, 1.0, 17.0, 5e5, 3e14}) {
    for (const double ratio : {1.0, 1.0001, 1.5, 3.9, 10.0, 1e7}) {
      const std::vector<double> values = {low, low * ratio};
      for (const bool logarithmic : {false, true}) {
        const PlotAxis axis(values, logarithmic, 0.05, 6);
        EXPECT_GE(axis.ticks().size(), 2u) << low << " × " << ratio << (logarithmic ? " log" : "");
        EXPECT_LE(axis.ticks().size(), 14u) << low << " × " << ratio << (logarithmic ? " log" : "");
        for (const Tick& tick : axis.ticks()) {
          EXPECT_GT(axis.position(tick.value), -1e-6);
          EXPECT_LT(axis.position(tick.value), 1 + 1e-6);
        }
      }
    }
  }
}

TEST(PlotAxis, SpansNumbersThatItHolds) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  const std::vector<double> values = {nan, -5, 0, 10, 1000, inf};
  const PlotAxis axis(values, true, 0, 6);
  EXPECT_FALSE(axis.holds(nan));
  EXPECT_FALSE(axis.holds(inf));
  EXPECT_FALSE(axis.holds(0));
  EXPECT_DOUBLE_EQ(axis.position(10), 0);
  EXPECT_DOUBLE_EQ(axis.position(1000), 1);
  EXPECT_GE(PlotAxis({}, false, 0.1, 6).ticks().size(), 2u);
}

TEST(LineChart, EscapesTextAndHasNoScript) {
  const std::string svg = line_chart({{"<script>\"&'", {{1, 1}, {2, 2}}}}, {"a<b & \"c\"", "x", "y"});
  EXPECT_EQ(svg.find("<script"), std::string::npos);
  EXPECT_NE(svg.find("&lt;script&gt;&quot;&amp;"), std::string::npos);
  EXPECT_NE(svg.find("aria-label=\"a&lt;b &amp; &quot;c&quot;\""), std::string::npos);
  EXPECT_EQ(escape_markup(std::string_view("a\0b\x1b", 4)), "a b ");
}

TEST(LineChart, BreaksTheLineWhereALossIsNotANumber) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::string whole = line_chart({{"a", {{1, 1}, {2, 2}, {3, 1}, {4, 2}}}}, {"", "x", "y"});
  const std::string broken = line_chart({{"a", {{1, 1}, {2, nan}, {3, 1}, {4, 2}}}}, {"", "x", "y"});
  const auto moves = [](const std::string& svg) {
    const size_t begin = svg.find("<path d=\"");
    return count(svg.substr(begin, svg.find("\" fill", begin) - begin), "M");
  };
  EXPECT_EQ(moves(whole), 1u);
  EXPECT_EQ(moves(broken), 2u);
  EXPECT_EQ(broken.find("nan"), std::string::npos);
}

TEST(LineChart, DrawsALongSeriesAsMeans) {
  PlotSeries series{"long", {}};
  for (int i = 0; i < 100000; ++i) series.points.push_back({static_cast<double>(i), 3});
  const std::string svg = line_chart({series}, {"", "x", "y"});
  EXPECT_LT(svg.size(), 20000u);
  EXPECT_NE(svg.find("<path"), std::string::npos);
}

TEST(ScatterChart, NamesEachMarkOnceAndDrawsItsBar) {
  const std::string svg =
      scatter_chart({{"mha", 100, 2, 1.9, 2.1, 0}, {"mfa", 100, 2, 2, 2, 1}, {"bad", 0, 2}}, {"", "x", "y", true});
  EXPECT_EQ(count(svg, ">mha<"), 1u);
  EXPECT_EQ(count(svg, ">mfa<"), 1u);
  EXPECT_EQ(count(svg, ">bad<"), 0u);  // zero has no place on a logarithmic axis
  EXPECT_EQ(count(svg, "<circle"), 2u);
  EXPECT_EQ(count(svg, "<path"), 1u);
}

TEST(ScatterChart, NamesOfEqualPointsDoNotCoverEachOther) {
  const std::string svg = scatter_chart({{"aaa", 100, 2, 0, 0, 0}, {"bbb", 100, 2, 0, 0, 1}}, {"", "x", "y", true});
  const auto tag = [&](std::string_view name) {
    const size_t end = svg.find(name);
    return svg.substr(svg.rfind("<text", end), end - svg.rfind("<text", end));
  };
  EXPECT_NE(tag(">aaa<"), tag(">bbb<"));
}

}  // namespace
}  // namespace mfa
