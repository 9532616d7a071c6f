#include "formats/utf8.h"

#include <cstdint>
#include <cstring>

namespace mfa {

// Table 3-7 of the Unicode standard.
size_t utf8_length(std::string_view s) {
  const auto at = [&](size_t i) { return i < s.size() ? static_cast<uint8_t>(s[i]) : uint8_t{0}; };
  const auto continues = [&](size_t i) { return (at(i) & 0xc0) == 0x80; };
  if (s.empty()) return 0;
  const uint8_t a = at(0), b = at(1);
  if (a < 0x80) return 1;
  if (a < 0xc2 || a > 0xf4 || !continues(1)) return 0;
  if (a < 0xe0) return 2;
  if (!continues(2) || (a == 0xe0 && b < 0xa0) || (a == 0xed && b > 0x9f)) return 0;
  if (a < 0xf0) return 3;
  if (!continues(3) || (a == 0xf0 && b < 0x90) || (a == 0xf4 && b > 0x8f)) return 0;
  return 4;
}

size_t valid_utf8_prefix(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    uint64_t eight;  // most text is ASCII, eight bytes at a time
    while (i + sizeof(eight) <= text.size()) {
      std::memcpy(&eight, text.data() + i, sizeof(eight));
      if ((eight & 0x8080808080808080u) != 0) break;
      i += sizeof(eight);
    }
    if (i == text.size()) break;
    const size_t length = utf8_length(text.substr(i, 4));
    if (length == 0) break;
    i += length;
  }
  return i;
}

char32_t take_character(std::string_view& s) {
  const auto at = [&](size_t i) { return static_cast<char32_t>(static_cast<uint8_t>(s[i])); };
  const char32_t a = at(0);
  const size_t length = a < 0x80 ? 1 : a < 0xe0 ? 2 : a < 0xf0 ? 3 : 4;
  char32_t character = length == 1 ? a : a & (0x7fu >> length);
  for (size_t i = 1; i < length; ++i) character = (character << 6) | (at(i) & 0x3f);
  s.remove_prefix(length);
  return character;
}

void append_utf8(char32_t c, std::string& text) {
  const auto tail = [&](int shift) { text += static_cast<char>(0x80 | ((c >> shift) & 0x3f)); };
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    text += static_cast<char>(0xc0 | (c >> 6));
    tail(0);
  } else if (c < 0x10000) {
    text += static_cast<char>(0xe0 | (c >> 12));
    tail(6), tail(0);
  } else {
    text += static_cast<char>(0xf0 | (c >> 18));
    tail(12), tail(6), tail(0);
  }
}

bool is_white_space(char32_t c) {
  return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
         c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

}  // namespace mfa
