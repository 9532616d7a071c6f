// Filters on text.
#include "formats/jinja/filters.h"
#include "formats/jinja/text.h"
#include "formats/jinja/unicode.h"

namespace mfa::jinja {
namespace {

Value like(const Value& self, std::string text) { return Value::string(std::move(text), self.is_markup()); }

template <std::string (*change)(std::string_view)>
Value changed(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind("the filter", {});
  const Value text = soft_text(self);
  charge_scan(text.text().size());
  return like(text, change(text.text()));
}

// Words begin behind white space, hyphens and opening brackets.
std::string title_words(std::string_view text) {
  std::string out;
  size_t begin = 0;
  const auto flush = [&](size_t end) {
    if (begin == end) return;
    size_t first_end = begin;
    next_code_point(text, first_end);
    out += to_upper(text.substr(begin, first_end - begin));
    out += to_lower(text.substr(first_end, end - first_end));
  };
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    const uint32_t code = next_code_point(text, at);
    if (code != '-' && code != '(' && code != '{' && code != '[' && code != '<' && !is_space(code)) continue;
    flush(start);
    out.append(text.substr(start, at - start));
    begin = at;
  }
  flush(text.size());
  return out;
}

Value filter_string(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind("string", {});
  return soft_text(self);
}

Value filter_safe(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind("safe", {});
  return Value::string(to_text(self), true);
}

Value filter_escape(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind("escape", {});
  return self.is_markup() ? self : Value::string(escaped(to_text(self)), true);
}

Value filter_force_escape(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind("forceescape", {});
  return Value::string(escaped(to_text(self)), true);
}

Value filter_trim(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("trim", {"chars"});
  const Value text = soft_text(self);
  return like(text, std::string(stripped(text.text(), bound[0], true, true)));
}

Value filter_replace(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("replace", {"old", "new", "count"}, 2);
  const bool limited = bound[2].given() && !bound[2].is(Kind::none);
  const int64_t limit = limited ? need_integer(bound[2], "the count of replace") : -1;
  return Value::string(replaced(to_text(self), to_text(bound[0]), to_text(bound[1]), limit));
}

Value filter_center(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("center", {"width"});
  const Value text = soft_text(self);
  return like(text, padded(text, bound[0].given() ? need_integer(bound[0], "the width") : 80, 0, " "));
}

Value filter_format(Interpreter& interpreter, const Value& self, CallArgs& arguments) {
  if (!arguments.positional.empty() && !arguments.named.empty()) {
    fault("format can't handle positional and keyword arguments at the same time");
  }
  Value values = Value::tuple(std::move(arguments.positional));
  if (!arguments.named.empty()) {
    std::vector<std::pair<Value, Value>> entries;
    for (auto& [name, value] : arguments.named) entries.emplace_back(Value::string(name), std::move(value));
    values = make_dict(std::move(entries));
  }
  return binary_operation(interpreter, Op::modulo, soft_text(self), values);
}

Value filter_indent(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("indent", {"width", "first", "blank"});
  const std::string text = need_text(self, "what is indented") + "\n";
  std::string margin(4, ' ');
  if (bound[0].is(Kind::string)) {
    margin = bound[0].text();
  } else if (bound[0].given()) {
    const int64_t width = need_integer(bound[0], "the width of indent");
    if (width > 10000) fault("an indent of {} is not allowed", width);
    margin = std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
  }
  const bool first = bound[1].given() && truth(bound[1]), blank = bound[2].given() && truth(bound[2]);
  Text out;
  if (first) out.append(margin);
  bool at_first = true;
  for (const std::string_view line : split_lines(text)) {
    if (!at_first) out.append("\n");
    if (!at_first && (blank || !line.empty())) out.append(margin);
    out.append(line);
    at_first = false;
  }
  return like(self, out.take());
}

Value filter_truncate(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("truncate", {"length", "killwords", "end", "leeway"});
  const int64_t size = bound[0].given() ? need_integer(bound[0], "the length of truncate") : 255;
  const bool kill_words = bound[1].given() && truth(bound[1]);
  const Value end = bound[2].given() ? bound[2] : Value::string("...");
  const bool has_leeway = bound[3].given() && !bound[3].is(Kind::none);
  const int64_t leeway = has_leeway ? need_integer(bound[3], "the leeway of truncate") : 5;
  need_text(end, "the end of truncate");
  if (size < length(end)) fault("expected length >= {}, got {}", length(end), size);
  if (leeway < 0) fault("expected leeway >= 0, got {}", leeway);
  if (length(self) <= size || length(self) - leeway <= size) return self;
  need_text(self, "what is truncated");
  std::string kept = between(self, 0, size - length(end));
  if (!kill_words) kept = kept.substr(0, kept.rfind(' '));
  return like(self, kept + end.text());
}

Value filter_wordcount(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind("wordcount", {});
  const Value text = soft_text(self);
  charge_scan(text.text().size());
  int64_t words = 0;
  bool in_word = false;
  for (size_t at = 0; at < text.text().size();) {
    const uint32_t code = next_code_point(text.text(), at);
    const bool part = code == '_' || is_alnum(code);
    words += part && !in_word;
    in_word = part;
  }
  return Value::integer(words);
}

std::string quoted_for_url(const std::string& text, bool query) {
  charge_scan(text.size());
  std::string out;
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (letter || c == '_' || c == '.' || c == '-' || c == '~' || (c == '/' && !query)) {
      out += c;
    } else {
      out += query && c == ' ' ? "+" : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

Value filter_urlencode(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind("urlencode", {});
  if (self.is(Kind::string) || !is_iterable(self)) return Value::string(quoted_for_url(to_text(self), false));
  Text out;
  const auto append = [&](const Value& key, const Value& value) {
    if (!out.view().empty()) out.append("&");
    out.append(quoted_for_url(to_text(key), true) + "=" + quoted_for_url(to_text(value), true));
  };
  if (self.is(Kind::dict)) {
    for (const auto& [key, value] : self.as<DictObject>().entries) append(key, value);
    return Value::string(out.take());
  }
  const auto next = iterate(self);
  for (Value item; next(item);) {
    const Items pair = collect(item);
    if (pair.size() != 2) fault("urlencode needs pairs, got {} values", pair.size());
    append(pair[0], pair[1]);
  }
  return Value::string(out.take());
}

Value filter_xmlattr(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("xmlattr", {"autospace"});
  if (!self.is(Kind::dict)) fault("xmlattr needs a dict, got {}", type_name(self));
  Text out;
  for (const auto& [key, value] : self.as<DictObject>().entries) {
    if (value.is(Kind::none) || value.is(Kind::undefined)) continue;
    const std::string& name = need_text(key, "the name of an attribute");
    if (name.find_first_of(" \t\n\r\f\v/>=") != name.npos) fault("invalid character in attribute name {}", repr(key));
    if (!out.view().empty()) out.append(" ");
    out.append(escaped(name) + "=\"" + (value.is_markup() ? value.text() : escaped(to_text(value))) + "\"");
  }
  const bool space = (!bound[0].given() || truth(bound[0])) && !out.view().empty();
  return Value::string((space ? " " : "") + out.take());
}

Value filter_tojson(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("tojson", {"ensure_ascii", "indent", "separators", "sort_keys"});
  const auto set = [&](size_t i) { return bound[i].given() && truth(bound[i]); };
  const auto or_none = [&](size_t i) { return bound[i].given() ? bound[i] : Value::none(); };
  return Value::string(to_json(self, set(0), or_none(1), or_none(2), set(3)));
}

Value filter_refused(Interpreter&, const Value&, CallArgs&) {
  fault("the filters pprint, random, striptags, urlize and wordwrap are not supported");
}

}  // namespace

Value soft_text(const Value& value) { return value.is(Kind::string) ? value : Value::string(to_text(value)); }

std::string escaped(std::string_view text) {
  charge_scan(text.size());
  Text out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find_first_of("&<>'\"", at), text.size());
    out.append(text.substr(at, end - at));
    at = end + 1;
    if (end == text.size()) break;
    switch (text[end]) {
      case '&':
        out.append("&amp;");
        break;
      case '<':
        out.append("&lt;");
        break;
      case '>':
        out.append("&gt;");
        break;
      case '\'':
        out.append("&#39;");
        break;
      default:
        out.append("&#34;");
    }
  }
  return out.take();
}

std::span<const Named> text_filters() {
  static constexpr Named kFilters[] = {
      {"capitalize", changed<capitalized>},
      {"center", filter_center},
      {"e", filter_escape},
      {"escape", filter_escape},
      {"forceescape", filter_force_escape},
      {"format", filter_format},
      {"indent", filter_indent},
      {"lower", changed<to_lower>},
      {"pprint", filter_refused},
      {"random", filter_refused},
      {"replace", filter_replace},
      {"safe", filter_safe},
      {"string", filter_string},
      {"striptags", filter_refused},
      {"title", changed<title_words>},
      {"tojson", filter_tojson},
      {"trim", filter_trim},
      {"truncate", filter_truncate},
      {"upper", changed<to_upper>},
      {"urlencode", filter_urlencode},
      {"urlize", filter_refused},
      {"wordcount", filter_wordcount},
      {"wordwrap", filter_refused},
      {"xmlattr", filter_xmlattr},
  };
  return kFilters;
}

}  // namespace mfa::jinja
