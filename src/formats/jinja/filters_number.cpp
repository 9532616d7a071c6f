// Filters on numbers, and those that make numbers of text.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "formats/jinja/filters.h"
#include "formats/jinja/unicode.h"

namespace mfa::jinja {
namespace {

// Digits with single underscores between them; nothing for any other text.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
      continue;
    }
    const auto is_digit_char = [&](size_t at) {
      return at < text.size() && std::isalnum(static_cast<unsigned char>(text[at])) != 0;
    };
    if (i == 0 || !is_digit_char(i - 1) || !is_digit_char(i + 1)) return std::nullopt;
  }
  return out;
}

// float(text)
std::optional<double> parse_float(std::string_view given) {
  const auto text = without_underscores(without_space(given));
  if (!text || text->empty()) return std::nullopt;
  std::string word = to_lower(*text);
  const bool negative = word[0] == '-';
  if (word[0] == '-' || word[0] == '+') word.erase(0, 1);
  if (word == "inf" || word == "infinity") return negative ? -HUGE_VAL : HUGE_VAL;
  if (word == "nan") return std::nan("");
  if (word.empty() || word.find_first_not_of("0123456789.e+-") != word.npos) return std::nullopt;
  double number = 0;
  const auto result = std::from_chars(word.data(), word.data() + word.size(), number);
  if (result.ptr != word.data() + word.size() || word[0] == '-') return std::nullopt;
  if (result.ec == std::errc::result_out_of_range) number = std::strtod(word.c_str(), nullptr);
  if (result.ec != std::errc() && result.ec != std::errc::result_out_of_range) return std::nullopt;
  return negative ? -number : number;
}

// int(text, base)
std::optional<int64_t> parse_integer(std::string_view given, int64_t base) {
  if (base != 0 && (base < 2 || base > 36)) return std::nullopt;
  std::string_view text = without_space(given);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const char mark = text.size() > 2 && text[0] == '0' ? static_cast<char>(text[1] | 32) : ' ';
  const int64_t marked = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
  if (marked != 0 && (base == 0 || base == marked)) {
    base = marked;
    text.remove_prefix(text[2] == '_' ? 3 : 2);
  }
  const auto digits = without_underscores(text);
  if (!digits || digits->empty() || !std::isalnum(static_cast<unsigned char>((*digits)[0]))) return std::nullopt;
  if (base == 0 && digits->size() > 1 && (*digits)[0] == '0' && digits->find_first_not_of('0') != digits->npos)
    return std::nullopt;
  const std::string signed_digits = (negative ? "-" : "") + *digits;
  int64_t number = 0;
  const char* end = signed_digits.data() + signed_digits.size();
  const auto result = std::from_chars(signed_digits.data(), end, number, static_cast<int>(base == 0 ? 10 : base));
  if (result.ptr != end) return std::nullopt;
  if (result.ec == std::errc::result_out_of_range)
    fault("the integer {} is too large, expected at most 64 bits", signed_digits.substr(0, 40));
  return number;
}

int64_t truncated(double number) {
  if (std::isinf(number)) fault("cannot convert float infinity to integer");
  const double whole = std::trunc(number);
  if (!(whole >= -0x1p63 && whole < 0x1p63)) fault("the number is too large, expected an integer of at most 64 bits");
  return static_cast<int64_t>(whole);
}

Value filter_int(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("int", {"default", "base"});
  const Value otherwise = bound[0].given() ? bound[0] : Value::integer(0);
  if (self.is(Kind::undefined)) fault("{}", self.as<UndefinedObject>().message);
  if (self.is_integral()) return Value::integer(self.as_integer());
  if (self.is(Kind::floating)) {
    return std::isnan(self.as_double()) ? otherwise : Value::integer(truncated(self.as_double()));
  }
  if (!self.is(Kind::string)) return otherwise;
  const int64_t base = bound[1].given() ? need_integer(bound[1], "the base of int") : 10;
  charge_scan(self.text().size());
  if (const auto number = parse_integer(self.text(), base)) return Value::integer(*number);
  const auto number = parse_float(self.text());
  return number && std::isfinite(*number) ? Value::integer(truncated(*number)) : otherwise;
}

Value filter_float(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("float", {"default"});
  const Value otherwise = bound[0].given() ? bound[0] : Value::floating(0);
  if (self.is(Kind::undefined)) fault("{}", self.as<UndefinedObject>().message);
  if (self.is_number()) return Value::floating(self.as_double());
  if (!self.is(Kind::string)) return otherwise;
  charge_scan(self.text().size());
  const auto number = parse_float(self.text());
  return number ? Value::floating(*number) : otherwise;
}

Value filter_abs(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind_positional("abs", 0, 0);
  if (!self.is_number()) fault("bad operand type for abs(): '{}'", type_name(self));
  if (self.is(Kind::floating)) return Value::floating(std::fabs(self.as_double()));
  return self.as_integer() < 0 ? negated(self) : Value::integer(self.as_integer());
}

// To the nearest multiple of ten, ties to the even one.
int64_t round_integer(int64_t number, int64_t precision) {
  if (precision >= 0) return number;
  if (precision < -18) return 0;
  int64_t unit = 1;
  for (; precision < 0; ++precision) unit *= 10;
  int64_t quotient = number / unit, rest = number % unit;
  if (rest < 0) {
    rest += unit;
    --quotient;
  }
  const bool up = rest * 2 > unit || (rest * 2 == unit && quotient % 2 != 0);
  int64_t result = 0;
  if (__builtin_mul_overflow(quotient + up, unit, &result))
    fault("the result is too large, expected an integer of at most 64 bits");
  return result;
}

double round_float(double number, int64_t precision) {
  if (!std::isfinite(number) || precision > 300) return number;
  if (precision < 0) {
    if (precision < -308) return std::copysign(0.0, number);
    const double unit = std::pow(10.0, static_cast<double>(-precision));
    return std::nearbyint(number / unit) * unit;
  }
  char digits[700];  // 309 before the point, 300 behind it
  std::snprintf(digits, sizeof(digits), "%.*f", static_cast<int>(precision), number);
  return std::strtod(digits, nullptr);
}

Value filter_round(Interpreter& interpreter, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("round", {"precision", "method"});
  const Value precision = bound[0].given() ? bound[0] : Value::integer(0);
  const std::string method = bound[1].given() ? to_text(bound[1]) : "common";
  if (method != "common" && method != "ceil" && method != "floor") fault("method must be common, ceil or floor");
  if (!self.is_number()) fault("type {} cannot be rounded", type_name(self));
  if (method == "common") {
    const int64_t digits = need_integer(precision, "the precision of round");
    if (self.is(Kind::floating)) return Value::floating(round_float(self.as_double(), digits));
    return Value::integer(round_integer(self.as_integer(), digits));
  }
  const Value unit = binary_operation(interpreter, Op::power, Value::integer(10), precision);
  const Value scaled = binary_operation(interpreter, Op::multiply, self, unit);
  const Value whole =
      scaled.is(Kind::floating)
          ? Value::integer(truncated(method == "ceil" ? std::ceil(scaled.as_double()) : std::floor(scaled.as_double())))
          : scaled;
  return binary_operation(interpreter, Op::divide, whole, unit);
}

Value filter_filesizeformat(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("filesizeformat", {"binary"});
  const bool binary = bound[0].given() && truth(bound[0]);
  const auto parsed = self.is(Kind::string) ? parse_float(self.text())
                      : self.is_number()    ? std::optional(self.as_double())
                                            : std::nullopt;
  if (!parsed) fault("filesizeformat needs a number, got {}", type_name(self));
  const double bytes = *parsed, base = binary ? 1024 : 1000;
  if (bytes == 1) return Value::string("1 Byte");
  if (bytes < base) return Value::string(fmt::format("{} Bytes", truncated(bytes)));
  constexpr std::string_view kPrefixes = "kMGTPEZY";
  double unit = base;
  size_t i = 0;
  do unit *= base;
  while (bytes >= unit && ++i < kPrefixes.size() - 1);
  if (bytes >= unit) unit = std::pow(base, 9);
  const std::string prefix = binary && i == 0 ? "K" : std::string(1, kPrefixes[i]);
  return Value::string(fmt::format("{:.1f} {}{}", base * bytes / unit, prefix, binary ? "iB" : "B"));
}

}  // namespace

std::span<const Named> number_filters() {
  static constexpr Named kFilters[] = {
      {"abs", filter_abs},     {"filesizeformat", filter_filesizeformat}, {"float", filter_float}, {"int", filter_int},
      {"round", filter_round},
  };
  return kFilters;
}

}  // namespace mfa::jinja
