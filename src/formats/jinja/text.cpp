#include "formats/jinja/text.h"

#include <algorithm>

#include "formats/jinja/interpreter.h"
#include "formats/jinja/unicode.h"

namespace mfa::jinja {
namespace {

bool is_line_end(uint32_t code) {
  return (code >= 0x0A && code <= 0x0D) || (code >= 0x1C && code <= 0x1E) || code == 0x85 || code == 0x2028 ||
         code == 0x2029;
}

// Collects parts and charges for them.
class Parts {
 public:
  explicit Parts(const Value& whole) : markup_(whole.is_markup()) {}
  void add(std::string_view part) {
    charge_.add(sizeof(Value));
    items_.push_back(Value::string(std::string(part), markup_));
  }
  Items take(bool reversed) {
    if (reversed) std::reverse(items_.begin(), items_.end());
    return std::move(items_);
  }

 private:
  bool markup_;
  Charge charge_;
  Items items_;
};

Items split_at_space(const Value& whole, int64_t limit) {
  Parts parts(whole);
  std::string_view rest = without_space(whole.text(), true, false);
  while (!rest.empty()) {
    size_t end = 0;
    if (limit-- == 0) {
      parts.add(rest);
      break;
    }
    while (end < rest.size()) {
      size_t next = end;
      if (is_space(next_code_point(rest, next))) break;
      end = next;
    }
    parts.add(rest.substr(0, end));
    rest = without_space(rest.substr(end), true, false);
  }
  return parts.take(false);
}

Items rsplit_at_space(const Value& whole, int64_t limit) {
  Parts parts(whole);
  std::string_view rest = without_space(whole.text(), false, true);
  while (!rest.empty()) {
    if (limit-- == 0) {
      parts.add(rest);
      break;
    }
    size_t begin = rest.size();
    while (begin > 0) {
      size_t previous = previous_code_point(rest, begin);
      const size_t at = previous;
      if (is_space(next_code_point(rest, previous))) break;
      begin = at;
    }
    parts.add(rest.substr(begin));
    rest = without_space(rest.substr(0, begin), false, true);
  }
  return parts.take(true);
}

bool is_cased_text(std::string_view text, bool (*wanted)(uint32_t), bool (*other)(uint32_t)) {
  bool any = false;
  for (size_t at = 0; at < text.size();) {
    const uint32_t code = next_code_point(text, at);
    if (other(code) || is_title(code)) return false;
    any |= wanted(code);
  }
  return any;
}

}  // namespace

std::string_view stripped(std::string_view text, const Value& characters, bool left, bool right) {
  charge_copy(text.size());
  if (!characters.given() || characters.is(Kind::none)) return without_space(text, left, right);
  const std::string& given = need_text(characters, "the argument of strip()");
  charge_scan(given.size());
  std::vector<uint32_t> codes;
  for (size_t at = 0; at < given.size();) codes.push_back(next_code_point(given, at));
  std::sort(codes.begin(), codes.end());
  const auto goes = [&](uint32_t code) { return std::binary_search(codes.begin(), codes.end(), code); };
  size_t begin = 0, end = text.size();
  while (left && begin < end) {
    size_t next = begin;
    if (!goes(next_code_point(text, next))) break;
    begin = next;
  }
  while (right && end > begin) {
    size_t next = previous_code_point(text, end);
    const size_t start = next;
    if (!goes(next_code_point(text, next))) break;
    end = start;
  }
  return text.substr(begin, end - begin);
}

Items split(const Value& whole, const Value& separator, int64_t limit, bool from_right) {
  charge_scan(whole.text().size());
  if (!separator.given() || separator.is(Kind::none)) {
    return from_right ? rsplit_at_space(whole, limit) : split_at_space(whole, limit);
  }
  const std::string& mark = need_text(separator, "the separator");
  if (mark.empty()) fault("empty separator");
  Parts parts(whole);
  std::string_view rest = whole.text();
  while (limit-- != 0) {
    const size_t at = from_right ? rfind_text(rest, mark) : find_text(rest, mark);
    if (at == std::string_view::npos) break;
    const std::string_view before = rest.substr(0, at), after = rest.substr(at + mark.size());
    parts.add(from_right ? after : before);
    rest = from_right ? before : after;
  }
  parts.add(rest);
  return parts.take(from_right);
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  charge_scan(text.size());
  std::vector<std::string_view> lines;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = at;
    const uint32_t code = next_code_point(text, at);
    if (!is_line_end(code)) continue;
    if (code == '\r' && at < text.size() && text[at] == '\n') ++at;
    lines.push_back(text.substr(begin, (keep_ends ? at : end) - begin));
    begin = at;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

std::string replaced(std::string_view text, std::string_view part, std::string_view by, int64_t limit) {
  charge_copy(text.size());
  Text out;
  size_t at = 0;
  while (limit-- != 0) {
    const size_t found = find_text(text, part, at);
    if (found == std::string_view::npos) break;
    out.append(text.substr(at, found - at));
    out.append(by);
    at = found + part.size();
    if (!part.empty()) continue;
    // An empty part is found before each character and at the end.
    if (at == text.size()) break;
    size_t next = at;
    next_code_point(text, next);
    out.append(text.substr(at, next - at));
    at = next;
  }
  out.append(text.substr(at));
  return out.take();
}

std::string padded(const Value& text, int64_t width, int side, std::string_view fill) {
  const auto size = static_cast<int64_t>(text.length_of_text());
  const int64_t missing = std::max<int64_t>(width - size, 0);
  // Python puts the odd one of a centred text to the left where the width is odd, else to the right.
  const int64_t left = side > 0 ? missing : side < 0 ? 0 : missing / 2 + (missing & width & 1);
  Text out;
  const auto pad = [&](int64_t count) {
    if (fill.size() == 1) return out.append(static_cast<size_t>(count), fill[0]);
    for (int64_t i = 0; i < count; ++i) out.append(fill);
  };
  pad(left);
  out.append(text.text());
  pad(missing - left);
  return out.take();
}

size_t byte_offset(const Value& value, size_t index) {
  const std::string& text = value.text();
  if (value.length_of_text() == text.size()) return std::min(index, text.size());
  charge_scan(text.size());
  size_t at = 0;
  while (at < text.size() && index-- > 0) next_code_point(text, at);
  return at;
}

// rfind is not linear: it is charged by both lengths, for short parts by what it has looked at.
size_t rfind_text(std::string_view text, std::string_view part) {
  constexpr size_t kShort = 64;
  if (part.size() > kShort) charge_steps(text.size() / 256 * part.size());
  const size_t found = text.rfind(part);
  charge_steps(1 + (found == text.npos ? text.size() : text.size() - found) / 16);
  return found;
}

bool is_lower_text(std::string_view text) { return is_cased_text(text, is_lower, is_upper); }
bool is_upper_text(std::string_view text) { return is_cased_text(text, is_upper, is_lower); }

std::string between(const Value& text, int64_t begin, int64_t end) {
  return sliced(text, Value::integer(begin), Value::integer(end), Value::none()).text();
}

}  // namespace mfa::jinja
