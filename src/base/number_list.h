// Lists and ranges of whole numbers as people write them on a command line.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace mfa {

// "64", "16,32,64", "32..256:32" (from, to, step; the step may be left out: 1), or any of these joined by commas.
// Returns them sorted, each once; at most 100,000. BadInput names `flag` and the part that is no such thing.
std::vector<int64_t> parse_number_list(std::string_view text, std::string_view flag);

// A count with a decimal suffix, "350M", "1.2B" (K, M, B or G, T; none: as it is), rounded to a whole number.
int64_t parse_count(std::string_view text, std::string_view flag);

}  // namespace mfa
