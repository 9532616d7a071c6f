// JSON from files that nobody vouches for: parsing and typed look-ups whose errors name the file and the key.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace mfa {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;  // members stay in the order of the text

// `where` names the source in errors, such as a path. BadInput for malformed text, invalid UTF-8, nesting deeper than
// 128 (code may recurse), and, in ordered documents (templates print them), integers that would become floats.
Json parse_json(std::string_view text, std::string_view where);
OrderedJson parse_ordered_json(std::string_view text, std::string_view where);

// The member `key` of `object`: BadInput if `object` is no object, if the key is missing, or if the value has another
// type or lies outside [min, max].
const Json& get_object(const Json& object, std::string_view key, std::string_view where);
const Json& get_array(const Json& object, std::string_view key, std::string_view where);
std::string get_string(const Json& object, std::string_view key, std::string_view where);
bool get_bool(const Json& object, std::string_view key, std::string_view where);
int64_t get_int(const Json& object, std::string_view key, std::string_view where,
                int64_t min = std::numeric_limits<int64_t>::min(), int64_t max = std::numeric_limits<int64_t>::max());
double get_double(const Json& object, std::string_view key, std::string_view where,
                  double min = std::numeric_limits<double>::lowest(), double max = std::numeric_limits<double>::max());

// The same where a missing key, or null, means "not given".
const Json* find_member(const Json& object, std::string_view key, std::string_view where);
std::optional<std::string> find_string(const Json& object, std::string_view key, std::string_view where);
std::optional<bool> find_bool(const Json& object, std::string_view key, std::string_view where);
std::optional<int64_t> find_int(const Json& object, std::string_view key, std::string_view where,
                                int64_t min = std::numeric_limits<int64_t>::min(),
                                int64_t max = std::numeric_limits<int64_t>::max());
std::optional<double> find_double(const Json& object, std::string_view key, std::string_view where,
                                  double min = std::numeric_limits<double>::lowest(),
                                  double max = std::numeric_limits<double>::max());

// The number itself, for elements of lists; `what` names it in errors.
int64_t as_int(const Json& value, std::string_view what, std::string_view where, int64_t min, int64_t max);

}  // namespace mfa
