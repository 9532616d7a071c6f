// json.dumps
#include <algorithm>
#include <cmath>

#include "formats/jinja/interpreter.h"
#include "formats/jinja/text.h"
#include "formats/jinja/unicode.h"

namespace mfa::jinja {
namespace {

class JsonWriter {
 public:
  JsonWriter(bool ascii, const Value& indent, const Value& separators, bool sort_keys)
      : ascii_(ascii), sort_keys_(sort_keys), indented_(!indent.is(Kind::none)) {
    if (indent.is(Kind::string)) {
      indent_ = indent.text();
    } else if (indented_) {
      const int64_t width = need_integer(indent, "indent");
      if (width > 1000) fault("an indent of {} is not allowed", width);
      indent_ = std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
    }
    if (indented_) item_separator_ = ",";
    if (separators.is(Kind::none)) return;
    const Items pair = collect(separators);
    if (pair.size() != 2) fault("separators must be two strings");
    item_separator_ = need_text(pair[0], "a separator");
    key_separator_ = need_text(pair[1], "a separator");
  }

  std::string write(const Value& value) {
    append(value);
    return out_.take();
  }

 private:
  void append(const Value& value) {
    charge_steps(1);
    switch (value.kind()) {
      case Kind::none:
        return out_.append("null");
      case Kind::boolean:
        return out_.append(value.as_integer() != 0 ? "true" : "false");
      case Kind::integer:
        return out_.append(std::to_string(value.as_integer()));
      case Kind::floating:
        return out_.append(number(value.as_double()));
      case Kind::string:
        return append_text(value.text());
      case Kind::list:
      case Kind::tuple:
        return append_list(value.items());
      case Kind::dict:
        return append_dict(value.as<DictObject>());
      default:
        fault("Object of type {} is not JSON serializable", type_name(value));
    }
  }

  static std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
    return float_text(value);
  }

  void append_list(const Items& items) {
    out_.append("[");
    ++level_;
    for (size_t i = 0; i < items.size(); ++i) {
      next(i > 0);
      append(items[i]);
    }
    --level_;
    if (!items.empty()) new_line();
    out_.append("]");
  }

  void append_dict(const DictObject& dict) {
    std::vector<const std::pair<Value, Value>*> entries;
    const Charge room(dict.entries.size() * sizeof(entries[0]));
    for (const auto& entry : dict.entries) entries.push_back(&entry);
    if (sort_keys_) {
      std::stable_sort(entries.begin(), entries.end(),
                       [](const auto* a, const auto* b) { return compare(a->first, b->first, "<") == -1; });
    }
    out_.append("{");
    ++level_;
    for (size_t i = 0; i < entries.size(); ++i) {
      next(i > 0);
      append_text(key_text(entries[i]->first));
      out_.append(key_separator_);
      append(entries[i]->second);
    }
    --level_;
    if (!entries.empty()) new_line();
    out_.append("}");
  }

  static std::string key_text(const Value& key) {
    switch (key.kind()) {
      case Kind::string:
        return key.text();
      case Kind::none:
        return "null";
      case Kind::boolean:
        return key.as_integer() != 0 ? "true" : "false";
      case Kind::integer:
        return std::to_string(key.as_integer());
      case Kind::floating:
        return number(key.as_double());
      default:
        fault("keys must be str, int, float, bool or None, not {}", type_name(key));
    }
  }

  void next(bool behind_another) {
    if (behind_another) out_.append(item_separator_);
    new_line();
  }

  void new_line() {
    if (!indented_) return;
    out_.append("\n");
    for (int i = 0; i < level_; ++i) out_.append(indent_);
  }

  void append_text(const std::string& text) {
    charge_scan(text.size());
    std::string quoted = "\"";
    for (size_t at = 0; at < text.size();) {
      const size_t begin = at;
      const uint32_t code = next_code_point(text, at);
      if (code == '"' || code == '\\') {
        quoted += '\\';
        quoted += static_cast<char>(code);
      } else if (code < 0x20) {
        append_control(quoted, code);
      } else if (code < 0x80 || !ascii_) {
        quoted.append(text, begin, at - begin);
      } else if (code < 0x10000) {
        quoted += fmt::format("\\u{:04x}", code);
      } else {
        quoted += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((code - 0x10000) >> 10), 0xDC00 + (code & 0x3FF));
      }
      if (quoted.size() > 4096) {
        out_.append(quoted);
        quoted.clear();
      }
    }
    out_.append(quoted + "\"");
  }

  static void append_control(std::string& out, uint32_t code) {
    switch (code) {
      case '\n':
        out += "\\n";
        return;
      case '\r':
        out += "\\r";
        return;
      case '\t':
        out += "\\t";
        return;
      case '\b':
        out += "\\b";
        return;
      case '\f':
        out += "\\f";
        return;
      default:
        out += fmt::format("\\u{:04x}", code);
    }
  }

  const bool ascii_, sort_keys_, indented_;
  std::string indent_, item_separator_ = ", ", key_separator_ = ": ";
  int level_ = 0;
  Text out_;
};

}  // namespace

std::string to_json(const Value& value, bool ascii, const Value& indent, const Value& separators, bool sort_keys) {
  return JsonWriter(ascii, indent, separators, sort_keys).write(value);
}

}  // namespace mfa::jinja
