#include "formats/json.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "formats/json_stream.h"

namespace mfa {
namespace {

constexpr int kMaxDepth = 128;

// Looks only at brackets outside strings; whether they match is the parser's business.
void check_depth(std::string_view text, std::string_view where) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxDepth) bad_input("[{}] JSON nests too deep, expected at most {} levels", where, kMaxDepth);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
}

// Position behind the string that begins at text[at], or the end.
size_t string_end(std::string_view text, size_t at) {
  while (++at < text.size() && text[at] != '"') at += text[at] == '\\';
  return std::min(at + 1, text.size());
}

// The parser turns them into floats without a word.
void check_integers(std::string_view text, std::string_view where) {
  for (size_t at = 0; at < text.size();) {
    if (text[at] == '"') {
      at = string_end(text, at);
      continue;
    }
    const std::string_view word = text.substr(at, text.find_first_not_of("-0123456789.eE+", at) - at);
    at += std::max<size_t>(word.size(), 1);
    if (word.find_first_of(".eE+") != word.npos) continue;
    int64_t value = 0;
    if (std::from_chars(word.data(), word.data() + word.size(), value).ec == std::errc::result_out_of_range) {
      const char* cut = word.size() > 40 ? "…" : "";
      bad_input("[{}] the integer {}{} is too large, expected at most 64 bits", where, word.substr(0, 40), cut);
    }
  }
}

template <class Document>
Document parse(std::string_view text, std::string_view where, const typename Document::parser_callback_t& keep = {}) {
  check_depth(text, where);
  try {
    return Document::parse(text, keep);
  } catch (const Json::exception& error) {
    bad_input("[{}] not valid JSON: {}", where, error.what());
  }
}

// What a person would call the value; short even for a large one.
std::string shown(const Json& value) {
  if (value.is_structured()) return value.type_name();
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 60) + "…";
  return text;
}

[[noreturn]] void wrong(const Json& value, std::string_view key, std::string_view where, std::string_view expected) {
  bad_input("[{}] {}, got {}, expected {}", where, key, shown(value), expected);
}

const Json& get_member(const Json& object, std::string_view key, std::string_view where) {
  const Json* value = find_member(object, key, where);
  if (value == nullptr) bad_input("[{}] {} is missing", where, key);
  return *value;
}

double as_double(const Json& value, std::string_view key, std::string_view where, double min, double max) {
  if (!value.is_number()) wrong(value, key, where, "a number");
  const double x = value.get<double>();
  if (!(x >= min && x <= max)) bad_input("[{}] {}, got {}, expected {} to {}", where, key, x, min, max);
  return x;
}

std::string as_string(const Json& value, std::string_view key, std::string_view where) {
  if (!value.is_string()) wrong(value, key, where, "a string");
  return value.get<std::string>();
}

bool as_bool(const Json& value, std::string_view key, std::string_view where) {
  if (!value.is_boolean()) wrong(value, key, where, "true or false");
  return value.get<bool>();
}

}  // namespace

Json parse_json(std::string_view text, std::string_view where) { return parse<Json>(text, where); }

Json parse_json_stream(std::string_view text, std::string_view where, const Json::parser_callback_t& keep) {
  return parse<Json>(text, where, keep);
}

OrderedJson parse_ordered_json(std::string_view text, std::string_view where) {
  check_integers(text, where);
  return parse<OrderedJson>(text, where);
}

const Json* find_member(const Json& object, std::string_view key, std::string_view where) {
  if (!object.is_object()) bad_input("[{}] {}, got {} around it, expected an object", where, key, shown(object));
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

const Json& get_object(const Json& object, std::string_view key, std::string_view where) {
  const Json& value = get_member(object, key, where);
  if (!value.is_object()) wrong(value, key, where, "an object");
  return value;
}

const Json& get_array(const Json& object, std::string_view key, std::string_view where) {
  const Json& value = get_member(object, key, where);
  if (!value.is_array()) wrong(value, key, where, "a list");
  return value;
}

std::string get_string(const Json& object, std::string_view key, std::string_view where) {
  return as_string(get_member(object, key, where), key, where);
}

bool get_bool(const Json& object, std::string_view key, std::string_view where) {
  return as_bool(get_member(object, key, where), key, where);
}

int64_t get_int(const Json& object, std::string_view key, std::string_view where, int64_t min, int64_t max) {
  return as_int(get_member(object, key, where), key, where, min, max);
}

double get_double(const Json& object, std::string_view key, std::string_view where, double min, double max) {
  return as_double(get_member(object, key, where), key, where, min, max);
}

std::optional<std::string> find_string(const Json& object, std::string_view key, std::string_view where) {
  const Json* value = find_member(object, key, where);
  if (value == nullptr) return std::nullopt;
  return as_string(*value, key, where);
}

std::optional<bool> find_bool(const Json& object, std::string_view key, std::string_view where) {
  const Json* value = find_member(object, key, where);
  if (value == nullptr) return std::nullopt;
  return as_bool(*value, key, where);
}

std::optional<int64_t> find_int(const Json& object, std::string_view key, std::string_view where, int64_t min,
                                int64_t max) {
  const Json* value = find_member(object, key, where);
  if (value == nullptr) return std::nullopt;
  return as_int(*value, key, where, min, max);
}

std::optional<double> find_double(const Json& object, std::string_view key, std::string_view where, double min,
                                  double max) {
  const Json* value = find_member(object, key, where);
  if (value == nullptr) return std::nullopt;
  return as_double(*value, key, where, min, max);
}

int64_t as_int(const Json& value, std::string_view what, std::string_view where, int64_t min, int64_t max) {
  if (!value.is_number_integer()) wrong(value, what, where, "a whole number");
  // The parser keeps numbers beyond int64 as unsigned (or as floating point, refused above).
  const bool too_large =
      value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (too_large || value.get<int64_t>() < min || value.get<int64_t>() > max) {
    bad_input("[{}] {}, got {}, expected {} to {}", where, what, shown(value), min, max);
  }
  return value.get<int64_t>();
}

}  // namespace mfa
