// Text as Python's str sees it: code points, character classes and case, over UTF-8 that is known to be valid.
//
// The data are libutf8proc's (2.8: Unicode 15.0, as Python 3.12). All 1,112,064 code points were compared with Python
// 3.11 (Unicode 14.0); these differ:
//  - characters that came with Unicode 15.0 have their class, and lower-case modifier letters that it renamed so are
//    lower (U+10FC, U+A7F2–A7F4, U+AB69);
//  - isnumeric is false for the 81 ideographs that Python holds for numbers (一, 七, 万, …): their values are not in
//    libutf8proc, which knows categories.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mfa::jinja {

bool is_valid_utf8(std::string_view text);
size_t count_code_points(std::string_view text);
// The code point at text[position]; moves `position` behind it.
uint32_t next_code_point(std::string_view text, size_t& position);
// Byte offset of the code point before `position` (> 0).
size_t previous_code_point(std::string_view text, size_t position);

bool is_alpha(uint32_t code);
bool is_decimal(uint32_t code);
bool is_digit(uint32_t code);
bool is_numeric(uint32_t code);
bool is_alnum(uint32_t code);
bool is_space(uint32_t code);
bool is_printable(uint32_t code);
bool is_upper(uint32_t code);
bool is_lower(uint32_t code);
bool is_title(uint32_t code);  // such as ǅ

// str.upper, str.lower, str.title, str.capitalize: full mappings (ß → SS), final sigma.
std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string to_title(std::string_view text);
std::string to_folded(std::string_view text);  // str.casefold
std::string capitalized(std::string_view text);
std::string swapped_case(std::string_view text);

// The first place of `part` at or behind `from`, or npos; linear in both lengths.
size_t find_text(std::string_view text, std::string_view part, size_t from = 0);

// Without white space on the sides; `left`, `right` say on which.
std::string_view without_space(std::string_view text, bool left = true, bool right = true);

}  // namespace mfa::jinja
