#include "train/safe_cut.h"

#include <algorithm>
#include <cstdint>

namespace mfa {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }
bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// Non-ASCII white space, and whole blocks around it: being too careful costs nothing here.
bool may_be_space(uint32_t c) {
  return c <= 0xa0 || c == 0x1680 || c == 0x180e || (c >= 0x2000 && c <= 0x206f) || c == 0x3000 || c == 0xfeff;
}

// The code point of the non-ASCII character that fills `bytes`; 0 if it does not.
uint32_t decode(std::string_view bytes) {
  const auto lead = static_cast<unsigned char>(bytes[0]);
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 0;
  if (length != bytes.size() || lead > 0xf4) return 0;
  uint32_t code = lead & (0xffu >> (length + 1));
  for (const char c : bytes.substr(1)) code = (code << 6) | (static_cast<unsigned char>(c) & 0x3fu);
  return code;
}

bool visible_before(std::string_view text, size_t i) {
  if (is_ascii(text[i - 1])) return text[i - 1] > ' ';
  size_t begin = i - 1;
  while (begin > 0 && i - begin < 4 && is_continuation(text[begin])) --begin;
  return !may_be_space(decode(text.substr(begin, i - begin)));
}

bool visible_at(std::string_view text, size_t i) {
  if (is_ascii(text[i])) return is_letter(text[i]) || is_digit(text[i]);
  size_t end = i + 1;
  while (end < text.size() && end - i < 4 && is_continuation(text[end])) ++end;
  return !may_be_space(decode(text.substr(i, end - i)));
}

}  // namespace

bool safe_cut_at(std::string_view text, size_t i) {
  if (i == 0 || i >= text.size()) return false;
  if (text[i] == ' ') return is_letter(text[i - 1]) && i + 1 < text.size() && is_letter(text[i + 1]);
  return text[i - 1] == '\n' && i >= 2 && visible_before(text, i - 1) && visible_at(text, i);
}

size_t last_safe_cut(std::string_view text, size_t begin, size_t end) {
  for (size_t i = std::min(end, text.size()); i > begin; --i)
    if (safe_cut_at(text, i - 1)) return i - 1;
  return 0;
}

size_t first_safe_cut(std::string_view text, size_t begin, size_t end) {
  for (size_t i = begin; i < std::min(end, text.size()); ++i)
    if (safe_cut_at(text, i)) return i;
  return 0;
}

size_t character_boundary(std::string_view text, size_t i) {
  for (size_t back = 0; back < 4 && back < i; ++back)
    if (!is_continuation(text[i - back])) return i - back;
  return i;
}

}  // namespace mfa
