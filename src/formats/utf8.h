// UTF-8: characters, validity, code points.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mfa {

// Bytes of the character at the start of `s`, 0 if there is none (no surrogates, no overlong forms, at most U+10FFFF).
size_t utf8_length(std::string_view s);

// Length of the longest prefix that is valid UTF-8.
size_t valid_utf8_prefix(std::string_view text);

// The character that begins `s`, and that many bytes taken off; `s` must begin with a valid one.
char32_t take_character(std::string_view& s);

void append_utf8(char32_t character, std::string& text);

bool is_white_space(char32_t character);  // the property White_Space

// Calls valid(stretch) and invalid(bytes) from left to right; together they are `text`, and neither is empty.
template <class Valid, class Invalid>
void for_each_stretch(std::string_view text, const Valid& valid, const Invalid& invalid) {
  while (!text.empty()) {
    const size_t good = valid_utf8_prefix(text);
    if (good > 0) valid(text.substr(0, good));
    text.remove_prefix(good);
    size_t bad = 0;
    while (bad < text.size() && utf8_length(text.substr(bad, 4)) == 0) ++bad;
    if (bad > 0) invalid(text.substr(0, bad));
    text.remove_prefix(bad);
  }
}

}  // namespace mfa
