// What str methods and text filters share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "formats/jinja/value.h"

namespace mfa::jinja {

// Without the characters in `characters` (a string; none or missing: white space) on the sides.
std::string_view stripped(std::string_view text, const Value& characters, bool left, bool right);
// str.split and rsplit: at `separator` (none or missing: at white space), at most `limit` times if that is ≥ 0.
Items split(const Value& text, const Value& separator, int64_t limit, bool from_right);
// str.splitlines, at every line boundary that Unicode knows.
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends = false);
// str.replace, at most `limit` times if that is ≥ 0.
std::string replaced(std::string_view text, std::string_view part, std::string_view by, int64_t limit);
// Filled up to `width` code points; side: −1 to the left, 0 centred, 1 to the right.
std::string padded(const Value& text, int64_t width, int side, std::string_view fill);
size_t byte_offset(const Value& text, size_t index);  // of a code point
size_t rfind_text(std::string_view text, std::string_view part);
bool is_lower_text(std::string_view text);
bool is_upper_text(std::string_view text);
// value[begin:end] of a string
std::string between(const Value& text, int64_t begin, int64_t end);
// format(value, spec)
std::string formatted(const Value& value, std::string_view spec);

}  // namespace mfa::jinja
