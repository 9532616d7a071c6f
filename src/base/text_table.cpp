#include "base/text_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <string_view>

namespace mfa {
namespace {

// Code points of valid UTF-8: every byte that does not continue another.
size_t display_width(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

void append_cell(std::string& line, std::string_view text, size_t width, TextTable::Align align) {
  const std::string gap(width - std::min(width, display_width(text)), ' ');
  if (align == TextTable::Align::right) line += gap;
  line += text;
  if (align == TextTable::Align::left) line += gap;
}

void end_line(std::string& out, std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  out += line + '\n';
}

}  // namespace

void TextTable::add_column(std::string title, Align align) { columns_.push_back({std::move(title), align}); }

void TextTable::add_row(std::vector<std::string> cells) {
  assert(cells.size() <= columns_.size());
  cells.resize(columns_.size());
  rows_.push_back(std::move(cells));
}

std::string TextTable::render() const {
  std::vector<size_t> widths;
  for (size_t c = 0; c < columns_.size(); ++c) {
    size_t width = display_width(columns_[c].title);
    for (const auto& row : rows_) width = std::max(width, display_width(row[c]));
    widths.push_back(width);
  }
  std::string out, header, rule;
  for (size_t c = 0; c < columns_.size(); ++c) {
    append_cell(header, columns_[c].title, widths[c], columns_[c].align);
    rule += std::string(widths[c], '-');
    header += "  ";
    rule += "  ";
  }
  end_line(out, header);
  end_line(out, rule);
  for (const auto& row : rows_) {
    std::string line;
    for (size_t c = 0; c < columns_.size(); ++c) {
      append_cell(line, row[c], widths[c], columns_[c].align);
      line += "  ";
    }
    end_line(out, line);
  }
  return out;
}

std::string grouped(int64_t value) {
  std::string digits = fmt::format("{}", value);
  const int64_t first = value < 0 ? 1 : 0;
  for (int64_t at = static_cast<int64_t>(digits.size()) - 3; at > first; at -= 3) {
    digits.insert(static_cast<size_t>(at), ",");
  }
  return digits;
}

std::string human_number(double value) {
  if (!std::isfinite(value)) return "–";
  static constexpr std::array<std::string_view, 7> suffixes = {"", "K", "M", "G", "T", "P", "E"};
  double scaled = value;
  size_t suffix = 0;
  // 999.5 rounds to 1000, which belongs to the next suffix.
  while (std::abs(scaled) >= 999.5 && suffix + 1 < suffixes.size()) {
    scaled /= 1000;
    ++suffix;
  }
  const double magnitude = std::abs(scaled);
  const bool whole = suffix == 0 && scaled == std::floor(scaled);
  const int decimals = whole || magnitude >= 99.95 ? 0 : magnitude >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f}{}", scaled, decimals, suffixes[suffix]);
}

}  // namespace mfa
