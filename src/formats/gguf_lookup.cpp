// Typed look-ups in GGUF metadata whose errors name the file and the key.
#include "base/error.h"
#include "formats/gguf.h"

namespace mfa {
namespace {

// The longest vocabulary published has 256k tokens. A list of bytes takes eight times its place as numbers, so that a
// hostile file must not choose its length freely.
constexpr uint64_t kLongestList = 1 << 22;

// Nothing where the key is missing, BadInput where the value is of another kind.
template <class T>
std::optional<T> typed(const GgufFile& file, std::string_view key, std::optional<T> (GgufValue::*as)() const,
                       std::string_view expected) {
  const auto found = file.metadata().find(key);
  if (found == file.metadata().end()) return std::nullopt;
  if (found->second.count() > kLongestList)
    bad_input("[{}] {}, got {} values, expected at most {}", file.where(), key, found->second.count(), kLongestList);
  std::optional<T> value = (found->second.*as)();
  if (!value) bad_input("[{}] {}, got {}, expected {}", file.where(), key, found->second.shown(), expected);
  return value;
}

template <class T>
T required(std::optional<T> value, const GgufFile& file, std::string_view key) {
  if (!value) bad_input("[{}] the key {} is missing", file.where(), key);
  return *std::move(value);
}

}  // namespace

std::optional<int64_t> GgufFile::find_int(std::string_view key, int64_t min, int64_t max) const {
  const std::optional<int64_t> value = typed(*this, key, &GgufValue::as_int, "an integer");
  if (value && (*value < min || *value > max))
    bad_input("[{}] {}, got {}, expected {} to {}", where_, key, *value, min, max);
  return value;
}

std::optional<double> GgufFile::find_double(std::string_view key) const {
  return typed(*this, key, &GgufValue::as_double, "a number");
}

std::optional<bool> GgufFile::find_bool(std::string_view key) const {
  return typed(*this, key, &GgufValue::as_bool, "true or false");
}

std::optional<std::string_view> GgufFile::find_string(std::string_view key) const {
  return typed(*this, key, &GgufValue::as_string, "a string");
}

std::optional<std::vector<int64_t>> GgufFile::find_ints(std::string_view key) const {
  return typed(*this, key, &GgufValue::as_ints, "a list of integers");
}

std::optional<std::vector<double>> GgufFile::find_doubles(std::string_view key) const {
  return typed(*this, key, &GgufValue::as_doubles, "a list of numbers");
}

std::optional<std::vector<std::string_view>> GgufFile::find_strings(std::string_view key) const {
  return typed(*this, key, &GgufValue::as_strings, "a list of strings");
}

int64_t GgufFile::get_int(std::string_view key, int64_t min, int64_t max) const {
  return required(find_int(key, min, max), *this, key);
}

double GgufFile::get_double(std::string_view key) const { return required(find_double(key), *this, key); }

std::string_view GgufFile::get_string(std::string_view key) const { return required(find_string(key), *this, key); }

std::vector<std::string_view> GgufFile::get_strings(std::string_view key) const {
  return required(find_strings(key), *this, key);
}

}  // namespace mfa
