// The format specifications of "{:>5}".
#include <algorithm>
#include <cmath>

#include "formats/jinja/format.h"
#include "formats/jinja/text.h"
#include "formats/jinja/unicode.h"
#include "formats/utf8.h"

namespace mfa::jinja {
namespace {

// How many digits stand before the point: decimal ones, which are grouped by three, or hexadecimal ones.
size_t whole_digits(const std::string& digits, size_t size) {
  return std::min(digits.find_first_not_of(size == 3 ? "0123456789" : "0123456789abcdefABCDEF"), digits.size());
}

// A separator after each `size` digits, counted from the point; what follows the digits stays.
std::string grouped(const std::string& digits, char separator, size_t size) {
  if (separator == 0) return digits;
  const size_t end = whole_digits(digits, size);
  std::string out;
  for (size_t i = 0; i < end; ++i) {
    if (i > 0 && (end - i) % size == 0) out += separator;
    out += digits[i];
  }
  return out + digits.substr(end);
}

// Zeros that fill up the width are grouped as the digits are; a separator never comes first.
std::string zero_grouped(const std::string& digits, const Field& field, size_t size, size_t sign) {
  const bool zeros = field.grouping != 0 && field.align == '=' && field.fill == "0";
  const size_t whole = whole_digits(digits, size);
  if (!zeros || whole == 0) return grouped(digits, field.grouping, size);
  const size_t behind = digits.size() - whole + sign;
  size_t count = whole;
  while (static_cast<int64_t>(count + (count - 1) / size + behind) < field.width) ++count;
  return grouped(std::string(count - whole, '0') + digits, field.grouping, size);
}

std::string format_integer(int64_t number, const Field& field) {
  if (field.precision >= 0) fault("precision is not allowed for integers");
  const uint64_t magnitude = number < 0 ? 0 - static_cast<uint64_t>(number) : static_cast<uint64_t>(number);
  const bool decimal = field.type == 'd' || field.type == 'n' || field.type == 0;
  const std::string prefix = field.alternate && !decimal ? std::string("0") + field.type : "";
  const std::string sign = sign_of(number < 0, field) + prefix;
  if (field.grouping == ',' && !decimal) fault("cannot specify ',' with '{}'", field.type);
  return filled(sign, zero_grouped(digits_of(magnitude, field.type), field, decimal ? 3 : 4, sign.size()), field);
}

std::string format_float(double number, Field field) {
  const bool negative = std::signbit(number) && !std::isnan(number);
  std::string digits;
  if (field.type == 0 && field.precision < 0) {
    digits = float_text(std::fabs(number));
  } else if (field.type == 0) {
    field.type = 'g';
    digits = float_digits(std::fabs(number), field);
    const bool plain = digits.find_first_not_of("0123456789") == digits.npos;
    if (plain) digits += ".0";
  } else {
    if (field.type == 'n') field.type = 'g';
    digits = float_digits(std::fabs(number), field);
  }
  const std::string sign = sign_of(negative, field);
  return filled(sign, zero_grouped(digits, field, 3, sign.size()), field);
}

std::string format_text(const Value& value, Field field) {
  if (field.type != 0 && field.type != 's') fault("unknown format code '{}' for a string", field.type);
  if (field.sign != '-' || field.alternate) fault("sign and alternate form are not allowed in a string's format");
  if (field.align == '=' && !field.zero) fault("'=' alignment is not allowed in a string's format");
  if (field.grouping != 0) fault("cannot specify '{}' with 's'", field.grouping);
  const Value text = field.precision >= 0 ? Value::string(between(value, 0, field.precision)) : value;
  const char align = field.align == 0 || field.align == '=' ? '<' : field.align;
  return padded(text, field.width, align == '>' ? 1 : align == '<' ? -1 : 0, field.fill);
}

bool is_align(char c) { return c == '<' || c == '>' || c == '^' || c == '='; }

// [[fill]align][sign][#][0][width][grouping][.precision][type]
Field parse_spec(std::string_view spec) {
  Field field;
  size_t at = 0;
  bool fill_given = false;
  if (!spec.empty()) {
    size_t next = 0;
    next_code_point(spec, next);
    if (next < spec.size() && is_align(spec[next])) {
      field.fill = std::string(spec.substr(0, next));
      field.align = spec[next];
      fill_given = true;
      at = next + 1;
    } else if (is_align(spec[0])) {
      field.align = spec[0];
      at = 1;
    }
  }
  const auto accept = [&](std::string_view characters) {
    return at < spec.size() && characters.find(spec[at]) != characters.npos ? spec[at++] : '\0';
  };
  if (const char sign = accept("+- ")) field.sign = sign;
  field.alternate = accept("#") != 0;
  if (!fill_given && accept("0") != 0) {
    field.zero = field.align == 0;
    field.fill = "0";
    if (field.zero) field.align = '=';
  }
  field.width = read_number(spec, at, kMaxWidth);
  field.grouping = accept(",_");
  if (accept(".") != 0) {
    const size_t begin = at;
    field.precision = read_number(spec, at, kMaxPrecision);
    if (at == begin) fault("format specifier missing precision");
  }
  field.type = accept("bcdeEfFgGnosxX%");
  if (field.type == 'n' && field.grouping != 0) fault("cannot specify '{}' with 'n'", field.grouping);
  if (at != spec.size()) fault("invalid format specifier '{}'", spec);
  return field;
}

}  // namespace

std::string digits_of(uint64_t magnitude, char type) {
  switch (type) {
    case 'x':
      return fmt::format("{:x}", magnitude);
    case 'X':
      return fmt::format("{:X}", magnitude);
    case 'o':
      return fmt::format("{:o}", magnitude);
    case 'b':
      return fmt::format("{:b}", magnitude);
    default:
      return fmt::format("{}", magnitude);
  }
}

std::string float_digits(double magnitude, const Field& field) {
  const bool upper = field.type == 'E' || field.type == 'F' || field.type == 'G';
  if (!std::isfinite(magnitude)) {
    const std::string name = std::isnan(magnitude) ? "nan" : "inf";
    return (upper ? to_upper(name) : name) + (field.type == '%' ? "%" : "");
  }
  const char notation = field.type == '%' ? 'f' : field.type;
  const std::string pattern = std::string("%") + (field.alternate ? "#" : "") + ".*" + notation;
  char buffer[2048];
  std::snprintf(buffer, sizeof(buffer), pattern.c_str(), static_cast<int>(field.precision < 0 ? 6 : field.precision),
                field.type == '%' ? magnitude * 100 : magnitude);
  return std::string(buffer) + (field.type == '%' ? "%" : "");
}

std::string sign_of(bool negative, const Field& field) {
  return negative ? "-" : field.sign == '-' ? "" : std::string(1, field.sign);
}

std::string filled(const std::string& sign, const std::string& digits, const Field& field) {
  const char align = field.align != 0 ? field.align : '>';
  if (align != '=') {
    return padded(Value::string(sign + digits), field.width, align == '>' ? 1 : align == '<' ? -1 : 0, field.fill);
  }
  return sign + padded(Value::string(digits), field.width - static_cast<int64_t>(sign.size()), 1, field.fill);
}

int64_t read_number(std::string_view text, size_t& at, int64_t max) {
  int64_t number = 0;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    number = number * 10 + (text[at++] - '0');
    if (number > max) fault("a width or precision of more than {} is not allowed", max);
  }
  charge_scan(static_cast<uint64_t>(number));
  return number;
}

std::string character_of(int64_t code) {
  if (code < 0 || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) fault("{} is no character", code);
  std::string text;
  append_utf8(static_cast<char32_t>(code), text);
  return text;
}

std::string formatted(const Value& value, std::string_view spec) {
  if (spec.empty()) return to_text(value);
  Field field = parse_spec(spec);
  if (value.is(Kind::string)) return format_text(value, field);
  if (!value.is_number()) fault("unsupported format string passed to {}.__format__", type_name(value));
  const bool floating = field.type != 0 && std::string_view("eEfFgG%").find(field.type) != std::string_view::npos;
  if (value.is(Kind::floating) || floating) {
    const bool allowed = floating || field.type == 0 || field.type == 'n';
    if (!allowed) fault("unknown format code '{}' for a float", field.type);
    return format_float(value.as_double(), field);
  }
  if (field.type == 'c') {
    if (field.grouping != 0 || field.sign != '-' || field.alternate || field.precision >= 0) {
      fault("sign, grouping, precision and alternate form are not allowed with 'c'");
    }
    return padded(Value::string(character_of(value.as_integer())), field.width,
                  field.align == '>'   ? 1
                  : field.align == '^' ? 0
                                       : -1,
                  field.fill);
  }
  if (field.type == 's') fault("unknown format code 's' for an integer");
  return format_integer(value.as_integer(), field);
}

}  // namespace mfa::jinja
