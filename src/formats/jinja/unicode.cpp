#include "formats/jinja/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "formats/utf8.h"

namespace mfa::jinja {
namespace {

constexpr uint32_t kSigma = 0x3A3, kSmallSigma = 0x3C3, kFinalSigma = 0x3C2, kIota = 0x3B9, kIotaSubscript = 0x345;
constexpr uint32_t kCapitalDottedI = 0x130, kDotAbove = 0x307, kApostropheN = 0x149;

// Characters of category No with the property Numeric_Type=Digit: superscripts, subscripts, circled digits.
struct CodeRange {
  uint32_t first, last;
};
constexpr auto kOtherDigits = std::to_array<CodeRange>(
    {{0xB2, 0xB3},     {0xB9, 0xB9},       {0x1369, 0x1371},   {0x19DA, 0x19DA},   {0x2070, 0x2070},
     {0x2074, 0x2079}, {0x2080, 0x2089},   {0x2460, 0x2468},   {0x2474, 0x247C},   {0x2488, 0x2490},
     {0x24EA, 0x24EA}, {0x24F5, 0x24FD},   {0x24FF, 0x24FF},   {0x2776, 0x277E},   {0x2780, 0x2788},
     {0x278A, 0x2792}, {0x10A40, 0x10A43}, {0x10E60, 0x10E68}, {0x11052, 0x1105A}, {0x1F100, 0x1F10A}});

utf8proc_int32_t point(uint32_t code) { return static_cast<utf8proc_int32_t>(code); }
utf8proc_category_t category(uint32_t code) { return utf8proc_category(point(code)); }
void append(std::string& out, uint32_t code) { append_utf8(static_cast<char32_t>(code), out); }

// Simple mappings: one code point each.
uint32_t upper_of(uint32_t code) { return static_cast<uint32_t>(utf8proc_toupper(point(code))); }
uint32_t lower_of(uint32_t code) { return static_cast<uint32_t>(utf8proc_tolower(point(code))); }
uint32_t title_of(uint32_t code) { return static_cast<uint32_t>(utf8proc_totitle(point(code))); }

// The full case folding, of up to three code points.
struct Folded {
  std::array<utf8proc_int32_t, 4> codes;
  size_t count;
};
Folded folded(uint32_t code) {
  Folded out{};
  int boundary = 0;
  const auto n = utf8proc_decompose_char(point(code), out.codes.data(), out.codes.size(), UTF8PROC_CASEFOLD, &boundary);
  out.count = std::clamp<size_t>(static_cast<size_t>(std::max<utf8proc_ssize_t>(n, 0)), 0, out.codes.size());
  return out;
}

// libutf8proc has full mappings for case folding only. Those to upper case follow: a character that folds to several
// becomes the upper case of each, unless it is an upper-case letter itself (ẞ, İ).
void append_upper(std::string& out, uint32_t code) {
  const Folded parts = folded(code);
  if (parts.count < 2 || category(code) == UTF8PROC_CATEGORY_LU) return append(out, upper_of(code));
  for (size_t i = 0; i < parts.count; ++i) append(out, upper_of(static_cast<uint32_t>(parts.codes[i])));
}

// Likewise to title case, where only the first part is a capital and an iota behind it stays below (ᾳ → ᾼ, ᾲ → Ὰͅ);
// ŉ alone becomes two capitals.
void append_title(std::string& out, uint32_t code) {
  const Folded parts = folded(code);
  const bool one = parts.count < 2 || category(code) == UTF8PROC_CATEGORY_LU || is_title(title_of(code));
  if (one) return append(out, title_of(code));
  if (code == kApostropheN) return append_upper(out, code);
  append(out, title_of(static_cast<uint32_t>(parts.codes[0])));
  for (size_t i = 1; i < parts.count; ++i) {
    const auto part = static_cast<uint32_t>(parts.codes[i]);
    append(out, part == kIota ? kIotaSubscript : part);
  }
}

bool is_cased(uint32_t code) { return is_upper(code) || is_lower(code) || is_title(code); }

// Unicode's Case_Ignorable: marks, format characters, modifiers, and the punctuation that may stand inside a word.
bool is_case_ignorable(uint32_t code) {
  constexpr std::u32string_view kInsideWords =
      U"'.:\u00B7\u0387\u055F\u05F4\u2018\u2019\u2024\u2027\uFE13\uFE52\uFE55\uFF07\uFF0E\uFF1A";
  switch (category(code)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      return kInsideWords.find(static_cast<char32_t>(code)) != kInsideWords.npos;
  }
}

// Unicode's Final_Sigma: a cased letter before, none after, case-ignorable characters skipped.
bool is_final_sigma(std::string_view text, size_t begin, size_t end) {
  uint32_t code = 0;
  size_t at = begin;
  bool cased_before = false;
  while (at > 0) {
    at = previous_code_point(text, at);
    size_t next = at;
    code = next_code_point(text, next);
    if (is_case_ignorable(code)) continue;
    cased_before = is_cased(code);
    break;
  }
  if (!cased_before) return false;
  while (end < text.size()) {
    code = next_code_point(text, end);
    if (!is_case_ignorable(code)) return !is_cased(code);
  }
  return true;
}

void append_lower(std::string& out, std::string_view text, size_t begin, size_t end, uint32_t code) {
  if (code == kSigma) return append(out, is_final_sigma(text, begin, end) ? kFinalSigma : kSmallSigma);
  append(out, lower_of(code));
  if (code == kCapitalDottedI) append(out, kDotAbove);
}

// Calls visit(code, begin, end) for each code point.
template <class Visit>
void for_each_code(std::string_view text, Visit visit) {
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const uint32_t code = next_code_point(text, at);
    visit(code, begin, at);
  }
}

}  // namespace

bool is_valid_utf8(std::string_view text) { return valid_utf8_prefix(text) == text.size(); }

size_t count_code_points(std::string_view text) {
  size_t continuations = 0;
  for (const char byte : text) continuations += (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
  return text.size() - continuations;
}

uint32_t next_code_point(std::string_view text, size_t& position) {
  std::string_view rest = text.substr(position);
  const char32_t code = take_character(rest);
  position = text.size() - rest.size();
  return code;
}

size_t previous_code_point(std::string_view text, size_t position) {
  do --position;
  while (position > 0 && (static_cast<unsigned char>(text[position]) & 0xC0) == 0x80);
  return position;
}

bool is_alpha(uint32_t code) {
  const auto kind = category(code);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}
bool is_decimal(uint32_t code) { return category(code) == UTF8PROC_CATEGORY_ND; }
bool is_digit(uint32_t code) {
  const auto holds = [&](const CodeRange& range) { return code >= range.first && code <= range.last; };
  return is_decimal(code) || std::ranges::any_of(kOtherDigits, holds);
}
bool is_numeric(uint32_t code) {
  const auto kind = category(code);
  return kind >= UTF8PROC_CATEGORY_ND && kind <= UTF8PROC_CATEGORY_NO;
}
bool is_alnum(uint32_t code) { return is_alpha(code) || is_numeric(code); }
// White_Space, and the four separators of ASCII that Python adds.
bool is_space(uint32_t code) { return is_white_space(code) || (code >= 28 && code <= 31); }
bool is_printable(uint32_t code) {
  const auto kind = category(code);
  return code == ' ' || (kind != UTF8PROC_CATEGORY_CN && kind < UTF8PROC_CATEGORY_ZS);
}
// Letters of that case, and characters that have the other case without being letters (Ⅷ, ⓐ) or are small
// letters above or below the line (ª, ₐ).
bool is_upper(uint32_t code) {
  return category(code) == UTF8PROC_CATEGORY_LU || (!is_alpha(code) && utf8proc_isupper(point(code)) != 0);
}
bool is_lower(uint32_t code) {
  return category(code) == UTF8PROC_CATEGORY_LL || (!is_title(code) && utf8proc_islower(point(code)) != 0);
}
bool is_title(uint32_t code) { return category(code) == UTF8PROC_CATEGORY_LT; }

std::string to_upper(std::string_view text) {
  std::string out;
  for_each_code(text, [&](uint32_t code, size_t, size_t) { append_upper(out, code); });
  return out;
}

std::string to_lower(std::string_view text) {
  std::string out;
  for_each_code(text, [&](uint32_t code, size_t begin, size_t end) { append_lower(out, text, begin, end, code); });
  return out;
}

std::string to_title(std::string_view text) {
  std::string out;
  bool in_word = false;
  for_each_code(text, [&](uint32_t code, size_t begin, size_t end) {
    if (in_word) {
      append_lower(out, text, begin, end, code);
    } else {
      append_title(out, code);
    }
    in_word = is_cased(code);
  });
  return out;
}

std::string to_folded(std::string_view text) {
  std::string out;
  for_each_code(text, [&](uint32_t code, size_t, size_t) {
    const Folded parts = folded(code);
    for (size_t i = 0; i < parts.count; ++i) append(out, static_cast<uint32_t>(parts.codes[i]));
  });
  return out;
}

std::string capitalized(std::string_view text) {
  std::string out;
  for_each_code(text, [&](uint32_t code, size_t begin, size_t end) {
    if (begin == 0) {
      append_title(out, code);
    } else {
      append_lower(out, text, begin, end, code);
    }
  });
  return out;
}

std::string swapped_case(std::string_view text) {
  std::string out;
  for_each_code(text, [&](uint32_t code, size_t begin, size_t end) {
    if (is_upper(code)) {
      append_lower(out, text, begin, end, code);
    } else if (is_lower(code)) {
      append_upper(out, code);
    } else {
      append(out, code);  // also ǅ, which is neither
    }
  });
  return out;
}

// memmem searches in linear time, which std::string_view::find does not.
size_t find_text(std::string_view text, std::string_view part, size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (part.empty()) return from;
  const void* found = memmem(text.data() + from, text.size() - from, part.data(), part.size());
  return found == nullptr ? std::string_view::npos : static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

std::string_view without_space(std::string_view text, bool left, bool right) {
  size_t begin = 0, end = text.size();
  while (left && begin < end) {
    size_t next = begin;
    if (!is_space(next_code_point(text, next))) break;
    begin = next;
  }
  while (right && end > begin) {
    size_t next = previous_code_point(text, end);
    const size_t start = next;
    if (!is_space(next_code_point(text, next))) break;
    end = start;
  }
  return text.substr(begin, end - begin);
}

}  // namespace mfa::jinja
