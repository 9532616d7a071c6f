// Character classes and case mappings as ranges: the data behind unicode.h.
#pragma once

#include <cstdint>
#include <span>

namespace mfa {

struct CodeRange {
  uint32_t first, last, step;  // first, first + step, … last
};
struct CodeShift {
  uint32_t first, last, step;
  int32_t delta;  // what the mapping adds
};
struct CodeExpansion {
  uint32_t code;
  uint32_t to[3];  // ends at 0
};
struct CaseMapping {
  std::span<const CodeShift> shifts;
  std::span<const CodeExpansion> expansions;
};

extern const std::span<const CodeRange> alpha_ranges, decimal_ranges, digit_ranges, numeric_ranges, space_ranges,
    unprintable_ranges, upper_ranges, lower_ranges, title_ranges, case_ignorable_ranges;
extern const CaseMapping to_upper_mapping, to_lower_mapping, to_title_mapping, to_folded_mapping;

}  // namespace mfa
