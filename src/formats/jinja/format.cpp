// Python's two ways to format: "%5.2f" % x and "{:>5}".format(x).
#include "formats/jinja/format.h"

#include <algorithm>
#include <cmath>

#include "formats/jinja/interpreter.h"
#include "formats/jinja/text.h"
#include "formats/jinja/unicode.h"

namespace mfa::jinja {
namespace {

// One % format string at work.
class Printf {
 public:
  Printf(const std::string& format, const Value& arguments, bool escapes)
      : format_(format), arguments_(arguments), escapes_(escapes) {}

  std::string run() {
    while (at_ < format_.size()) {
      const size_t mark = std::min(format_.find('%', at_), format_.size());
      out_.append(std::string_view(format_).substr(at_, mark - at_));
      at_ = mark + 1;
      if (mark < format_.size()) convert();
    }
    const bool unused = arguments_.is(Kind::tuple) ? next_ < arguments_.items().size()
                                                   : next_ == 0 && !named_ && !arguments_.is(Kind::dict) &&
                                                         !arguments_.is(Kind::list) && !arguments_.is(Kind::range);
    if (unused) fault("not all arguments converted during string formatting");
    return out_.take();
  }

 private:
  char peek() const {
    if (at_ >= format_.size()) fault("incomplete format");
    return format_[at_];
  }

  Value next_argument() {
    if (arguments_.is(Kind::tuple)) {
      if (next_ >= arguments_.items().size()) fault("not enough arguments for format string");
      return arguments_.items()[next_++];
    }
    if (next_++ > 0) fault("not enough arguments for format string");
    return arguments_;
  }

  Value mapped_argument() {
    int depth = 1;
    const size_t begin = ++at_;
    for (; at_ < format_.size(); ++at_) {
      depth += format_[at_] == '(' ? 1 : format_[at_] == ')' ? -1 : 0;
      if (depth == 0) break;
    }
    if (at_ >= format_.size()) fault("incomplete format key");
    if (!arguments_.is(Kind::dict)) fault("format requires a mapping");
    const Value key = Value::string(format_.substr(begin, at_++ - begin));
    const Value* value = arguments_.as<DictObject>().find(key);
    if (value == nullptr) fault("there is no key {} to format", repr(key));
    named_ = true;
    return *value;
  }

  int64_t number_or_star(int64_t max) {
    if (peek() != '*') return read_number(format_, at_, max);
    ++at_;
    const int64_t number = need_integer(next_argument(), "* in a format");
    if (number > max || number < -max) fault("a width or precision of more than {} is not allowed", max);
    charge_scan(static_cast<uint64_t>(std::abs(number)));
    return number;
  }

  void convert() {
    Value value;
    if (peek() == '(') value = mapped_argument();
    Field field;
    bool left = false;
    for (bool flags = true; flags;) {
      switch (peek()) {
        case '-':
          left = true;
          break;
        case '+':
          field.sign = '+';
          break;
        case ' ':
          field.sign = field.sign == '+' ? '+' : ' ';
          break;
        case '#':
          field.alternate = true;
          break;
        case '0':
          field.zero = true;
          break;
        default:
          flags = false;
      }
      if (flags) ++at_;
    }
    field.width = number_or_star(kMaxWidth);
    if (field.width < 0) {
      left = true;
      field.width = -field.width;
    }
    if (peek() == '.') {
      ++at_;
      field.precision = std::max<int64_t>(number_or_star(kMaxPrecision), 0);
    }
    while (peek() == 'l' || peek() == 'h' || peek() == 'L') ++at_;
    field.type = format_[at_];
    if (field.type == '%') {
      ++at_;
      return out_.append("%");
    }
    field.align = left ? '<' : '>';
    if (!value.given() && (std::string_view("sracdiuoxXeEfFgG").find(field.type) != std::string_view::npos))
      value = next_argument();
    convert_value(value, field);
    ++at_;
  }

  void convert_value(const Value& value, Field& field) {
    switch (field.type) {
      case 's':
      case 'r':
      case 'a':
        return convert_text(field.type == 's' ? to_text(value) : repr(value), value, field);
      case 'c': {
        const bool text = value.is(Kind::string);
        if (text && value.length_of_text() != 1) fault("%c requires int or char");
        return convert_text(text ? value.text() : character_of(need_integer(value, "%c")), value, field);
      }
      case 'd':
      case 'i':
      case 'u':
      case 'o':
      case 'x':
      case 'X':
        return convert_integer(value, field);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        break;
      default:
        fault("unsupported format character '{}'", field.type);
    }
    if (!value.is_number()) fault("must be a number, not {}", type_name(value));
    const double number = value.as_double();
    put(sign_of(std::signbit(number) && !std::isnan(number), field), float_digits(std::fabs(number), field), field);
  }

  void convert_text(std::string text, const Value& value, const Field& field) {
    if (escapes_ && !value.is_markup()) text = escaped(text);
    Value shown = Value::string(std::move(text));
    if (field.precision >= 0 && field.type != 'c') shown = Value::string(between(shown, 0, field.precision));
    out_.append(padded(shown, field.width, field.align == '<' ? -1 : 1, " "));
  }

  void convert_integer(const Value& value, const Field& field) {
    const bool decimal = field.type == 'd' || field.type == 'i' || field.type == 'u';
    int64_t number = 0;
    if (decimal && value.is(Kind::floating)) {
      const double whole = std::trunc(value.as_double());
      if (!(whole >= -0x1p63 && whole < 0x1p63)) fault("%d of a number beyond 64 bits");
      number = static_cast<int64_t>(whole);
    } else {
      if (!value.is_integral()) fault("%{} format: a number is required, not {}", field.type, type_name(value));
      number = value.as_integer();
    }
    const uint64_t magnitude = number < 0 ? 0 - static_cast<uint64_t>(number) : static_cast<uint64_t>(number);
    std::string digits = digits_of(magnitude, decimal ? 'd' : field.type);
    if (field.precision > static_cast<int64_t>(digits.size())) {
      digits.insert(0, static_cast<size_t>(field.precision) - digits.size(), '0');
    }
    const std::string prefix = field.alternate && !decimal ? std::string("0") + field.type : "";
    put(sign_of(number < 0, field) + prefix, digits, field);
  }

  void put(const std::string& sign, const std::string& digits, Field field) {
    if (field.zero && field.align != '<') {
      field.align = '=';
      field.fill = "0";
    }
    out_.append(filled(sign, digits, field));
  }

  const std::string& format_;
  const Value& arguments_;
  const bool escapes_;
  size_t at_ = 0, next_ = 0;
  bool named_ = false;
  Text out_;
};

// One {} format string at work.
class Braces {
 public:
  Braces(Interpreter& interpreter, CallArgs& arguments, bool escapes)
      : interpreter_(interpreter), arguments_(arguments), escapes_(escapes) {}

  // `depth`: format specifications may hold fields, those not.
  std::string run(std::string_view format, int depth) {
    if (depth < 0) fault("max string recursion exceeded");
    Text out;
    for (size_t at = 0; at < format.size();) {
      const size_t mark = std::min(format.find_first_of("{}", at), format.size());
      out.append(format.substr(at, mark - at));
      at = mark;
      if (at == format.size()) break;
      if (at + 1 < format.size() && format[at + 1] == format[at]) {
        out.append(format.substr(at, 1));
        at += 2;
        continue;
      }
      if (format[at] == '}') fault("single '}}' encountered in format string");
      const size_t end = field_end(format, at + 1);
      out.append(field(format.substr(at + 1, end - at - 1), depth));
      at = end + 1;
    }
    return out.take();
  }

 private:
  static size_t field_end(std::string_view format, size_t at) {
    for (int depth = 1; at < format.size(); ++at) {
      depth += format[at] == '{' ? 1 : format[at] == '}' ? -1 : 0;
      if (depth == 0) return at;
    }
    fault("expected '}}' before end of string");
  }

  // name[!conversion][:spec]
  std::string field(std::string_view text, int depth) {
    size_t name_end = 0;
    for (bool bracket = false; name_end < text.size(); ++name_end) {
      const char c = text[name_end];
      bracket = c == '[' || (bracket && c != ']');
      if (!bracket && (c == '!' || c == ':')) break;
      if (!bracket && c == '{') fault("unexpected '{{' in field name");
    }
    Value value = object(text.substr(0, name_end));
    std::string_view rest = text.substr(name_end);
    if (rest.starts_with('!')) {
      if (rest.size() < 2) fault("end of string while looking for conversion specifier");
      const char conversion = rest[1];
      if (conversion != 's' && conversion != 'r' && conversion != 'a')
        fault("unknown conversion specifier '{}'", conversion);
      value = Value::string(conversion == 's' ? to_text(value) : repr(value));
      rest = rest.substr(2);
      if (!rest.empty() && rest[0] != ':') fault("expected ':' after conversion specifier");
    }
    const std::string spec = rest.empty() ? "" : run(rest.substr(1), depth - 1);
    const std::string shown = formatted(value, spec);
    return escapes_ && !value.is_markup() ? escaped(shown) : shown;
  }

  Value object(std::string_view name) {
    const size_t first_end = std::min(name.find_first_of(".["), name.size());
    Value value = first(name.substr(0, first_end));
    for (size_t at = first_end; at < name.size();) {
      if (name[at] == '.') {
        const size_t end = std::min(name.find_first_of(".[", at + 1), name.size());
        if (end == at + 1) fault("empty attribute in format string");
        value = interpreter_.attribute(value, name.substr(at + 1, end - at - 1));
        at = end;
        continue;
      }
      if (name[at] != '[') fault("only '.' or '[' may follow ']' in format field specifier");
      const size_t end = name.find(']', at);
      if (end == name.npos) fault("missing ']' in format string");
      if (end == at + 1) fault("empty attribute in format string");
      const std::string_view key = name.substr(at + 1, end - at - 1);
      value = interpreter_.item(value, key_value(key));
      at = end + 1;
    }
    return value;
  }

  static bool is_number(std::string_view text) {
    return !text.empty() && text.size() < 18 && text.find_first_not_of("0123456789") == text.npos;
  }
  static Value key_value(std::string_view key) {
    return is_number(key) ? Value::integer(std::stoll(std::string(key))) : Value::string(std::string(key));
  }

  Value first(std::string_view name) {
    if (!name.empty() && !is_number(name)) {
      for (const auto& [key, value] : arguments_.named) {
        if (key == name) return value;
      }
      fault("there is no argument '{}' to format", name);
    }
    if (name.empty() ? manual_ : next_ > 0) fault("cannot mix numbered and unnumbered fields in a format");
    manual_ |= !name.empty();
    const size_t index = name.empty() ? next_++ : std::stoull(std::string(name));
    if (index >= arguments_.positional.size()) fault("replacement index {} out of range", index);
    return arguments_.positional[index];
  }

  Interpreter& interpreter_;
  CallArgs& arguments_;
  const bool escapes_;
  size_t next_ = 0;
  bool manual_ = false;
};

}  // namespace

std::string printf_format(const Value& format, const Value& arguments) {
  charge_scan(format.text().size());
  return Printf(format.text(), arguments, format.is_markup()).run();
}

Value brace_format(Interpreter& interpreter, const Value& format, CallArgs& arguments) {
  charge_scan(format.text().size());
  return Value::string(Braces(interpreter, arguments, format.is_markup()).run(format.text(), 2), format.is_markup());
}

}  // namespace mfa::jinja
