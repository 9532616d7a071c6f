#include "formats/unicode.h"

#include <algorithm>
#include <cstring>

#include "formats/unicode_tables.h"

namespace mfa {
namespace {

constexpr uint32_t kSigma = 0x3A3, kSmallSigma = 0x3C3, kFinalSigma = 0x3C2;

// The range that may hold `code`: the last one that starts at or before it.
template <class Range>
const Range* find_range(std::span<const Range> ranges, uint32_t code) {
  auto after = std::upper_bound(ranges.begin(), ranges.end(), code,
                                [](uint32_t value, const Range& range) { return value < range.first; });
  if (after == ranges.begin()) return nullptr;
  const Range& range = *--after;
  return code <= range.last && (code - range.first) % range.step == 0 ? &range : nullptr;
}

bool in(std::span<const CodeRange> ranges, uint32_t code) { return find_range(ranges, code) != nullptr; }

void append_mapped(std::string& text, const CaseMapping& mapping, uint32_t code) {
  if (const CodeShift* shift = find_range(mapping.shifts, code)) {
    return append_utf8(text, static_cast<uint32_t>(static_cast<int64_t>(code) + shift->delta));
  }
  const auto found = std::lower_bound(mapping.expansions.begin(), mapping.expansions.end(), code,
                                      [](const CodeExpansion& entry, uint32_t value) { return entry.code < value; });
  if (found == mapping.expansions.end() || found->code != code) return append_utf8(text, code);
  for (const uint32_t to : found->to) {
    if (to != 0) append_utf8(text, to);
  }
}

bool is_cased(uint32_t code) { return is_upper(code) || is_lower(code) || is_title(code); }
bool is_case_ignorable(uint32_t code) { return in(case_ignorable_ranges, code); }

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
  if (code == kSigma) return append_utf8(out, is_final_sigma(text, begin, end) ? kFinalSigma : kSmallSigma);
  append_mapped(out, to_lower_mapping, code);
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

size_t sequence_length(unsigned char lead) {
  return lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const size_t length = sequence_length(static_cast<unsigned char>(text[at]));
    if (length == 0 || at + length > text.size()) return false;
    for (size_t i = 1; i < length; ++i) {
      if ((static_cast<unsigned char>(text[at + i]) & 0xC0) != 0x80) return false;
    }
    const uint32_t code = next_code_point(text, at);
    constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < kSmallest[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return false;
  }
  return true;
}

size_t count_code_points(std::string_view text) {
  size_t continuations = 0;
  for (const char byte : text) continuations += (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
  return text.size() - continuations;
}

void append_utf8(std::string& text, uint32_t code) {
  const auto push = [&](uint32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (code < 0x80) return push(code);
  if (code < 0x800) {
    push(0xC0 | code >> 6);
  } else {
    if (code < 0x10000) {
      push(0xE0 | code >> 12);
    } else {
      push(0xF0 | code >> 18);
      push(0x80 | (code >> 12 & 0x3F));
    }
    push(0x80 | (code >> 6 & 0x3F));
  }
  push(0x80 | (code & 0x3F));
}

uint32_t next_code_point(std::string_view text, size_t& position) {
  const auto byte = [&](size_t offset) -> uint32_t { return static_cast<unsigned char>(text[position + offset]); };
  const uint32_t lead = byte(0);
  if (lead < 0x80) {
    ++position;
    return lead;
  }
  const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  uint32_t code = lead & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) code = code << 6 | (byte(i) & 0x3F);
  position += length;
  return code;
}

size_t previous_code_point(std::string_view text, size_t position) {
  do --position;
  while (position > 0 && (static_cast<unsigned char>(text[position]) & 0xC0) == 0x80);
  return position;
}

bool is_alpha(uint32_t code) { return in(alpha_ranges, code); }
bool is_decimal(uint32_t code) { return in(decimal_ranges, code); }
bool is_digit(uint32_t code) { return in(digit_ranges, code); }
bool is_numeric(uint32_t code) { return in(numeric_ranges, code); }
bool is_alnum(uint32_t code) { return is_alpha(code) || is_decimal(code) || is_digit(code) || is_numeric(code); }
bool is_space(uint32_t code) {
  if (code < 0x80) return code == ' ' || (code >= 9 && code <= 13) || (code >= 28 && code <= 31);
  return in(space_ranges, code);
}
bool is_printable(uint32_t code) { return code < 0x80 ? code >= 32 && code < 127 : !in(unprintable_ranges, code); }
bool is_upper(uint32_t code) { return in(upper_ranges, code); }
bool is_lower(uint32_t code) { return in(lower_ranges, code); }
bool is_title(uint32_t code) { return in(title_ranges, code); }

std::string to_upper(std::string_view text) {
  std::string out;
  for_each_code(text, [&](uint32_t code, size_t, size_t) { append_mapped(out, to_upper_mapping, code); });
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
      append_mapped(out, to_title_mapping, code);
    }
    in_word = is_cased(code);
  });
  return out;
}

std::string to_folded(std::string_view text) {
  std::string out;
  for_each_code(text, [&](uint32_t code, size_t, size_t) { append_mapped(out, to_folded_mapping, code); });
  return out;
}

std::string capitalized(std::string_view text) {
  std::string out;
  for_each_code(text, [&](uint32_t code, size_t begin, size_t end) {
    if (begin == 0) {
      append_mapped(out, to_title_mapping, code);
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
    } else {
      append_mapped(out, to_upper_mapping, code);
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

}  // namespace mfa
