// Fields of format strings, which Python's two ways to format share.
#pragma once

#include <string>
#include <string_view>

#include "formats/jinja/value.h"

namespace mfa::jinja {

constexpr int64_t kMaxWidth = 1 << 16, kMaxPrecision = 1000;

struct Field {
  std::string fill = " ";
  char align = 0;  // < > ^ =
  char sign = '-';
  bool alternate = false, zero = false;
  char grouping = 0;  // , or _
  int64_t width = 0, precision = -1;
  char type = 0;
};

std::string digits_of(uint64_t magnitude, char type);
// Fixed, scientific or general notation, as C does; `type` is one of eEfFgG%.
std::string float_digits(double magnitude, const Field& field);
std::string sign_of(bool negative, const Field& field);
// Sign and digits filled up; `=` fills between them.
std::string filled(const std::string& sign, const std::string& digits, const Field& field);
// The digits at text[at], behind which `at` is left; Fault beyond `max`.
int64_t read_number(std::string_view text, size_t& at, int64_t max);
std::string character_of(int64_t code);

}  // namespace mfa::jinja
