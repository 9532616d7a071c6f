// str() and repr() of values, as Python prints them.
#include <charconv>
#include <cmath>

#include "formats/jinja/ast.h"
#include "formats/jinja/loop.h"
#include "formats/jinja/unicode.h"
#include "formats/jinja/value.h"

namespace mfa::jinja {
namespace {

// Single quotes, unless the text holds such and no double ones.
void append_quoted(Text& out, std::string_view text) {
  charge_scan(text.size());
  const bool double_quotes = text.find('\'') != text.npos && text.find('"') == text.npos;
  const uint32_t quote = double_quotes ? '"' : '\'';
  std::string quoted(1, static_cast<char>(quote));
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const uint32_t code = next_code_point(text, at);
    if (code == quote || code == '\\') {
      quoted += '\\';
      quoted += static_cast<char>(code);
    } else if (code == '\n' || code == '\r' || code == '\t') {
      quoted += code == '\n' ? "\\n" : code == '\r' ? "\\r" : "\\t";
    } else if (is_printable(code)) {
      quoted.append(text.substr(begin, at - begin));
    } else if (code < 0x100) {
      quoted += fmt::format("\\x{:02x}", code);
    } else {
      quoted += code < 0x10000 ? fmt::format("\\u{:04x}", code) : fmt::format("\\U{:08x}", code);
    }
    if (quoted.size() > 4096) {
      out.append(quoted);
      quoted.clear();
    }
  }
  quoted += static_cast<char>(quote);
  out.append(quoted);
}

void append_repr(Text& out, const Value& value);

void append_items(Text& out, const Items& items, std::string_view open, std::string_view close) {
  out.append(open);
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out.append(", ");
    append_repr(out, items[i]);
  }
  out.append(close);
}

template <class Entries, class Name>
void append_entries(Text& out, const Entries& entries, Name append_name) {
  out.append("{");
  bool first = true;
  for (const auto& [key, value] : entries) {
    if (!first) out.append(", ");
    first = false;
    append_name(key);
    out.append(": ");
    append_repr(out, value);
  }
  out.append("}");
}

void append_object(Text& out, const Value& value) {
  switch (value.kind()) {
    case Kind::range: {
      const RangeObject& range = value.as<RangeObject>();
      out.append(fmt::format("range({}, {}", range.start, range.stop));
      return out.append(range.step == 1 ? ")" : fmt::format(", {})", range.step));
    }
    case Kind::space: {
      // A namespace may hold itself, which nothing else can.
      out.append("<Namespace ");
      append_entries(out, value.as<SpaceObject>().attributes,
                     [&](const std::string& name) { append_quoted(out, name); });
      return out.append(">");
    }
    case Kind::loop: {
      LoopObject& loop = value.as<LoopObject>();
      return out.append(fmt::format("<LoopContext {}/{}>", loop.index0 + 1, loop.length()));
    }
    case Kind::macro: {
      const MacroNode& macro = value.as<MacroObject>().node;
      return out.append(macro.name.empty() ? "<Macro anonymous>"
                                           : fmt::format("<Macro {}>", repr(Value::string(macro.name))));
    }
    case Kind::function:
      return out.append(fmt::format("<function {}>", value.as<FunctionObject>().name));
    default:
      return out.append(fmt::format("<{} object>", type_name(value)));
  }
}

// Counts the namespaces that are being printed: they alone can form circles.
struct PrintingSpace {
  explicit PrintingSpace(const Value& value) : counted(value.is(Kind::space)) {
    if (counted && ++depth > 100) {
      --depth;
      fault("a namespace that holds itself cannot be printed");
    }
  }
  ~PrintingSpace() { depth -= counted; }
  const bool counted;
  static inline thread_local int depth = 0;
};

void append_repr(Text& out, const Value& value) {
  charge_steps(1);
  const PrintingSpace guard(value);
  switch (value.kind()) {
    case Kind::missing:
      return;
    case Kind::undefined:
      return out.append("Undefined");
    case Kind::none:
      return out.append("None");
    case Kind::boolean:
      return out.append(value.as_integer() != 0 ? "True" : "False");
    case Kind::integer:
      return out.append(std::to_string(value.as_integer()));
    case Kind::floating:
      return out.append(float_text(value.as_double()));
    case Kind::string:
      if (value.is_markup()) out.append("Markup(");
      append_quoted(out, value.text());
      if (value.is_markup()) out.append(")");
      return;
    case Kind::list:
      return append_items(out, value.items(), "[", "]");
    case Kind::tuple:
      return append_items(out, value.items(), "(", value.items().size() == 1 ? ",)" : ")");
    case Kind::view:
      out.append(value.as<ItemsObject>().name);
      return append_items(out, value.items(), "([", "])");
    case Kind::dict:
      return append_entries(out, value.as<DictObject>().entries, [&](const Value& key) { append_repr(out, key); });
    default:
      return append_object(out, value);
  }
}

}  // namespace

// The shortest digits that read back as the same number; exponents below -4 and from 16 on.
std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific).ptr;
  std::string_view text(buffer, static_cast<size_t>(end - buffer));
  const size_t mark = text.find('e');
  const int exponent = std::stoi(std::string(text.substr(mark + 1)));
  std::string sign, digits;
  for (const char c : text.substr(0, mark)) {
    if (c == '-') sign = "-";
    if (c >= '0' && c <= '9') digits += c;
  }
  if (exponent < -4 || exponent >= 16) {
    const std::string fraction = digits.size() > 1 ? "." + digits.substr(1) : "";
    return fmt::format("{}{}{}e{}{:02}", sign, digits[0], fraction, exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0) return sign + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  const size_t whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= whole) return sign + digits + std::string(whole - digits.size(), '0') + ".0";
  return sign + digits.substr(0, whole) + "." + digits.substr(whole);
}

std::string repr(const Value& value) {
  Text out;
  append_repr(out, value);
  return out.take();
}

std::string to_text(const Value& value) {
  if (value.is(Kind::string)) {
    charge_copy(value.text().size());
    return value.text();
  }
  return value.is(Kind::undefined) ? "" : repr(value);
}

}  // namespace mfa::jinja
