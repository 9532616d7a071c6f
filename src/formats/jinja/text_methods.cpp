// The methods of str.
#include <algorithm>

#include "formats/jinja/interpreter.h"
#include "formats/jinja/text.h"
#include "formats/jinja/unicode.h"

namespace mfa::jinja {
namespace {

// The text, with the work of looking at each character paid for.
const std::string& scanned(const Value& self) {
  charge_scan(self.text().size());
  return self.text();
}

Value like(const Value& self, std::string text) { return Value::string(std::move(text), self.is_markup()); }

template <std::string (*change)(std::string_view)>
Value changed(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind_positional("the method", 0, 0);
  return like(self, change(scanned(self)));
}

template <bool (*belongs)(uint32_t)>
Value all_are(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind_positional("the method", 0, 0);
  const std::string& text = scanned(self);
  for (size_t at = 0; at < text.size();) {
    if (!belongs(next_code_point(text, at))) return Value::boolean(false);
  }
  return Value::boolean(!text.empty());
}

Value text_is_ascii(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind_positional("isascii", 0, 0);
  return Value::boolean(self.length_of_text() == self.text().size());
}

Value text_is_printable(Interpreter& interpreter, const Value& self, CallArgs& arguments) {
  return self.text().empty() ? Value::boolean(true) : all_are<is_printable>(interpreter, self, arguments);
}

Value text_is_lower(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind_positional("islower", 0, 0);
  return Value::boolean(is_lower_text(scanned(self)));
}

Value text_is_upper(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind_positional("isupper", 0, 0);
  return Value::boolean(is_upper_text(scanned(self)));
}

// Capitals only begin words, small letters only continue them.
Value text_is_title(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind_positional("istitle", 0, 0);
  const std::string& text = scanned(self);
  bool any = false, in_word = false;
  for (size_t at = 0; at < text.size();) {
    const uint32_t code = next_code_point(text, at);
    const bool capital = is_upper(code) || is_title(code);
    if (capital ? in_word : is_lower(code) && !in_word) return Value::boolean(false);
    in_word = capital || is_lower(code);
    any |= in_word;
  }
  return Value::boolean(any);
}

Value text_is_identifier(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind_positional("isidentifier", 0, 0);
  const std::string& text = scanned(self);
  for (size_t at = 0; at < text.size();) {
    const bool first = at == 0;
    const uint32_t code = next_code_point(text, at);
    if (code != '_' && !(first ? is_alpha(code) : is_alpha(code) || is_decimal(code))) return Value::boolean(false);
  }
  return Value::boolean(!text.empty());
}

template <bool left, bool right>
Value text_strip(Interpreter&, const Value& self, CallArgs& arguments) {
  return like(self, std::string(stripped(self.text(), arguments.bind_positional("strip", 0, 1)[0], left, right)));
}

template <bool from_right>
Value text_split(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("split", {"sep", "maxsplit"});
  const int64_t limit = bound[1].given() ? need_integer(bound[1], "maxsplit") : -1;
  return Value::list(split(self, bound[0], limit, from_right));
}

Value text_splitlines(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("splitlines", {"keepends"});
  Items lines;
  for (const std::string_view line : split_lines(self.text(), bound[0].given() && truth(bound[0]))) {
    lines.push_back(like(self, std::string(line)));
  }
  return Value::list(std::move(lines));
}

// text, or the end of it, as find() and others see it between two indices.
struct Window {
  std::string_view text;
  size_t offset;  // bytes before it
  bool empty;     // begins behind its end: not even "" is found
};

Window window(const Value& self, const Value& start, const Value& stop) {
  const auto size = static_cast<int64_t>(self.length_of_text());
  const auto clip = [&](const Value& given, int64_t missing) {
    if (!given.given() || given.is(Kind::none)) return missing;
    const int64_t index = need_integer(given, "an index");
    return index < 0 ? std::max<int64_t>(index + size, 0) : index;
  };
  const int64_t from = clip(start, 0), to = std::min(clip(stop, size), size);
  if (from > to) return {{}, 0, true};
  const size_t begin = byte_offset(self, static_cast<size_t>(from)), end = byte_offset(self, static_cast<size_t>(to));
  return {std::string_view(self.text()).substr(begin, end - begin), begin, false};
}

template <bool from_right, bool must_exist>
Value text_find(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind_positional("find", 1, 3);
  const std::string& part = need_text(bound[0], "what is searched");
  const Window in = window(self, bound[1], bound[2]);
  charge_copy(in.text.size() + part.size());
  const size_t at = in.empty     ? std::string_view::npos
                    : from_right ? rfind_text(in.text, part)
                                 : find_text(in.text, part);
  if (at == std::string_view::npos) {
    if (must_exist) fault("substring not found");
    return Value::integer(-1);
  }
  return Value::integer(
      static_cast<int64_t>(count_code_points(std::string_view(self.text()).substr(0, in.offset + at))));
}

Value text_count(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind_positional("count", 1, 3);
  const std::string& part = need_text(bound[0], "what is counted");
  const Window in = window(self, bound[1], bound[2]);
  charge_scan(in.text.size() + part.size());
  if (in.empty) return Value::integer(0);
  if (part.empty()) return Value::integer(static_cast<int64_t>(count_code_points(in.text)) + 1);
  int64_t count = 0;
  for (size_t at = find_text(in.text, part); at != std::string_view::npos;
       at = find_text(in.text, part, at + part.size())) {
    ++count;
  }
  return Value::integer(count);
}

template <bool at_end>
Value text_has_affix(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind_positional(at_end ? "endswith" : "startswith", 1, 3);
  const Window in = window(self, bound[1], bound[2]);
  const Items candidates = bound[0].is(Kind::tuple) ? bound[0].items() : Items{bound[0]};
  for (const Value& candidate : candidates) {
    const std::string& affix = need_text(candidate, "the argument of startswith() or endswith()");
    charge_copy(affix.size());
    if (!in.empty && (at_end ? in.text.ends_with(affix) : in.text.starts_with(affix))) return Value::boolean(true);
  }
  return Value::boolean(false);
}

Value text_remove_prefix(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind_positional("removeprefix", 1, 1);
  const std::string& affix = need_text(bound[0], "the prefix");
  return like(self, self.text().substr(self.text().starts_with(affix) ? affix.size() : 0));
}

Value text_remove_suffix(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind_positional("removesuffix", 1, 1);
  const std::string& affix = need_text(bound[0], "the suffix");
  return like(self, self.text().substr(0, self.text().size() - (self.text().ends_with(affix) ? affix.size() : 0)));
}

Value text_replace(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind_positional("replace", 2, 3);
  const int64_t limit = bound[2].given() ? need_integer(bound[2], "the count of replace()") : -1;
  return like(self, replaced(self.text(), need_text(bound[0], "what is replaced"),
                             need_text(bound[1], "the replacement"), limit));
}

Value text_join(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind_positional("join", 1, 1);
  Text out;
  bool first = true;
  const auto next = iterate(bound[0]);
  for (Value item; next(item); first = false) {
    charge_steps(1);
    if (!first) out.append(self.text());
    const bool escapes = self.is_markup() && !item.is_markup();
    const std::string& text = need_text(item, "an item of join()");
    out.append(escapes ? escaped(text) : text);
  }
  return like(self, out.take());
}

template <bool from_right>
Value text_partition(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind_positional("partition", 1, 1);
  const std::string &text = scanned(self), &separator = need_text(bound[0], "the separator");
  if (separator.empty()) fault("empty separator");
  const size_t at = from_right ? rfind_text(text, separator) : find_text(text, separator);
  const Value none = like(self, "");
  if (at == std::string::npos) return Value::tuple(from_right ? Items{none, none, self} : Items{self, none, none});
  return Value::tuple({like(self, text.substr(0, at)), bound[0], like(self, text.substr(at + separator.size()))});
}

// -1: to the left, 0: centred, 1: to the right.
template <int side>
Value text_justify(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind_positional("ljust, rjust or center", 1, 2);
  const std::string fill = bound[1].given() ? need_text(bound[1], "the fill character") : " ";
  if (count_code_points(fill) != 1) fault("the fill character must be exactly one character long");
  return like(self, padded(self, need_integer(bound[0], "the width"), side, fill));
}

Value text_zfill(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind_positional("zfill", 1, 1);
  const std::string& text = self.text();
  const bool sign = !text.empty() && (text[0] == '-' || text[0] == '+');
  const Value digits = Value::string(text.substr(sign));
  const int64_t width = need_integer(bound[0], "the width");
  return like(self, (sign ? text.substr(0, 1) : "") + padded(digits, width - sign, 1, "0"));
}

Value text_expandtabs(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("expandtabs", {"tabsize"});
  const int64_t size = bound[0].given() ? need_integer(bound[0], "the size of a tab") : 8;
  const std::string& text = scanned(self);
  Text out;
  int64_t column = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const uint32_t code = next_code_point(text, at);
    if (code == '\t') {
      const int64_t spaces = size > 0 ? size - column % size : 0;
      out.append(static_cast<size_t>(spaces), ' ');
      column += spaces;
      continue;
    }
    out.append(std::string_view(text).substr(begin, at - begin));
    column = code == '\n' || code == '\r' ? 0 : column + 1;
  }
  return like(self, out.take());
}

Value text_format(Interpreter& interpreter, const Value& self, CallArgs& arguments) {
  return brace_format(interpreter, self, arguments);
}

Value text_format_map(Interpreter& interpreter, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind_positional("format_map", 1, 1);
  if (!bound[0].is(Kind::dict)) fault("format_map() got a {}, expected a dict", type_name(bound[0]));
  CallArgs named;
  for (const auto& [key, value] : bound[0].as<DictObject>().entries) {
    if (key.is(Kind::string)) named.named.emplace_back(key.text(), value);
  }
  return brace_format(interpreter, self, named);
}

Value text_refused(Interpreter&, const Value&, CallArgs&) {
  fault("the methods encode, maketrans and translate of str are not supported");
}

constexpr Named kMethods[] = {
    {"capitalize", changed<capitalized>},
    {"casefold", changed<to_folded>},
    {"center", text_justify<0>},
    {"count", text_count},
    {"encode", text_refused},
    {"endswith", text_has_affix<true>},
    {"expandtabs", text_expandtabs},
    {"find", text_find<false, false>},
    {"format", text_format},
    {"format_map", text_format_map},
    {"index", text_find<false, true>},
    {"isalnum", all_are<is_alnum>},
    {"isalpha", all_are<is_alpha>},
    {"isascii", text_is_ascii},
    {"isdecimal", all_are<is_decimal>},
    {"isdigit", all_are<is_digit>},
    {"isidentifier", text_is_identifier},
    {"islower", text_is_lower},
    {"isnumeric", all_are<is_numeric>},
    {"isprintable", text_is_printable},
    {"isspace", all_are<is_space>},
    {"istitle", text_is_title},
    {"isupper", text_is_upper},
    {"join", text_join},
    {"ljust", text_justify<-1>},
    {"lower", changed<to_lower>},
    {"lstrip", text_strip<true, false>},
    {"maketrans", text_refused},
    {"partition", text_partition<false>},
    {"removeprefix", text_remove_prefix},
    {"removesuffix", text_remove_suffix},
    {"replace", text_replace},
    {"rfind", text_find<true, false>},
    {"rindex", text_find<true, true>},
    {"rjust", text_justify<1>},
    {"rpartition", text_partition<true>},
    {"rsplit", text_split<true>},
    {"rstrip", text_strip<false, true>},
    {"split", text_split<false>},
    {"splitlines", text_splitlines},
    {"startswith", text_has_affix<false>},
    {"strip", text_strip<true, true>},
    {"swapcase", changed<swapped_case>},
    {"title", changed<to_title>},
    {"translate", text_refused},
    {"upper", changed<to_upper>},
    {"zfill", text_zfill},
};

}  // namespace

Named find_text_method(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kMethods), std::end(kMethods), [&](const Named& method) { return method.name == name; });
  return found == std::end(kMethods) ? Named{} : *found;
}

}  // namespace mfa::jinja
