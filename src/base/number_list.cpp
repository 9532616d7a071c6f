#include "base/number_list.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/error.h"

namespace mfa {
namespace {

constexpr size_t kMostNumbers = 100000;
constexpr int64_t kMostValue = int64_t{1} << 40;

std::optional<int64_t> whole_number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 || value > kMostValue) return std::nullopt;
  return value;
}

// One part between commas.
void append_part(std::string_view part, std::string_view flag, std::vector<int64_t>& numbers) {
  const size_t dots = part.find(".."), colon = part.find(':');
  const bool range = dots != std::string_view::npos;
  const auto low = whole_number(part.substr(0, dots));
  const auto high =
      range ? whole_number(part.substr(dots + 2, colon == std::string_view::npos ? colon : colon - dots - 2)) : low;
  const auto step = range && colon != std::string_view::npos && colon > dots ? whole_number(part.substr(colon + 1)) : 1;
  if (!low || !high || !step || *step == 0 || *low > *high)
    bad_input("[usage] {}, got {}, expected numbers and ranges such as 64 or 16,32 or 32..256:32", flag, part);
  if (static_cast<size_t>((*high - *low) / *step) >= kMostNumbers - std::min(kMostNumbers, numbers.size()))
    bad_input("[usage] {}, got {}, expected at most {} numbers", flag, part, kMostNumbers);
  for (int64_t value = *low; value <= *high; value += *step) numbers.push_back(value);
}

}  // namespace

std::vector<int64_t> parse_number_list(std::string_view text, std::string_view flag) {
  std::vector<int64_t> numbers;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    append_part(text.substr(begin, end - begin), flag, numbers);
    begin = end + 1;
  }
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

int64_t parse_count(std::string_view text, std::string_view flag) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view suffix = text.substr(static_cast<size_t>(end - text.data()));
  double unit = suffix.empty() ? 1 : 0;
  if (suffix == "K" || suffix == "k") unit = 1e3;
  if (suffix == "M") unit = 1e6;
  if (suffix == "B" || suffix == "G") unit = 1e9;
  if (suffix == "T") unit = 1e12;
  if (error != std::errc() || unit == 0 || !(value >= 0) || value * unit > static_cast<double>(kMostValue))
    bad_input("[usage] {}, got {}, expected a count such as 350M or 1.2B, at most 2^40", flag, text);
  return std::llround(value * unit);
}

}  // namespace mfa
