// Where Oniguruma and PCRE2 read the same pattern differently.
#include <cstdint>

#include "base/error.h"
#include "formats/regex.h"

namespace mfa {
namespace {

// Oniguruma's \s is Unicode's White_Space; PCRE2's also has U+180E. Written for the inside of a class.
constexpr std::string_view kSpaces =
    R"(\x09-\x0d\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";

constexpr std::string_view kPlainEscapes = "rntfdDAzZ";  // the same in both

constexpr bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

class Translator {
 public:
  Translator(std::string_view pattern, std::string_view where) : in_(pattern), where_(where) {}

  std::string run() {
    while (i_ < in_.size()) {
      const char c = in_[i_];
      if (c == '\\') {
        escape();
      } else if (in_class_) {
        class_character(c);
      } else {
        character(c);
      }
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    bad_input("[{}] regex {}: {} is not supported", where_, in_, what);
  }

  void copy(size_t n) {
    out_ += in_.substr(i_, n);
    i_ += n;
  }

  void character(char c) {
    if (c == '[') {
      in_class_ = true;
      copy(in_.substr(i_).starts_with("[^") ? 2 : 1);
      if (i_ < in_.size() && in_[i_] == ']') refuse("an empty class");
    } else if (c == '(' && in_.substr(i_).starts_with("(*")) {
      refuse("(*");  // a verb in PCRE2
    } else if (c == '(' && in_.substr(i_).starts_with("(?")) {
      group();
    } else if (in_.substr(i_).starts_with("{,") || in_.substr(i_).starts_with("}+")) {
      refuse(in_.substr(i_, 2));  // {0,n} and a repeated repetition there; plain text and possessive here
    } else {
      copy(1);
    }
  }

  // Groups and look-arounds are the same; recursion, callouts and conditions are PCRE2's or Oniguruma's own.
  void group() {
    for (const std::string_view known : {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!", "(?i:", "(?-i:", "(?i)"}) {
      if (in_.substr(i_).starts_with(known)) return copy(known.size());
    }
    refuse(in_.substr(i_, 4));
  }

  void class_character(char c) {
    if (c == '[') refuse("[ inside a class");  // a nested class in Oniguruma
    if (in_.substr(i_).starts_with("&&")) refuse("&& inside a class");
    if (c == ']') in_class_ = false;
    copy(1);
  }

  void escape() {
    if (i_ + 1 == in_.size()) refuse("\\ at the end");
    const char c = in_[i_ + 1];
    if (c == 's') {
      i_ += 2;
      out_ += in_class_ ? std::string(kSpaces) : "[" + std::string(kSpaces) + "]";
    } else if (c == 'S') {
      i_ += 2;  // a class cannot hold a negated one: there PCRE2's own \S must do, which differs in U+180E alone
      out_ += in_class_ ? "\\S" : "[^" + std::string(kSpaces) + "]";
    } else if (c == 'p' || c == 'P') {
      property();
    } else if (c == 'u') {
      code_point();
    } else if (c == 'x') {
      hexadecimal();
    } else if (is_alphanumeric(c) && kPlainEscapes.find(c) == std::string_view::npos) {
      refuse(in_.substr(i_, 2));  // such as \h: a hexadecimal digit there, a space here
    } else {
      copy(2);
    }
  }

  // General categories have one or two letters. Longer names are scripts: plain Script there, Script_Extensions here.
  void property() {
    const size_t close = in_.find('}', i_);
    if (in_.substr(i_ + 2, 1) != "{" || close == std::string_view::npos) refuse(in_.substr(i_, 3));
    std::string_view name = in_.substr(i_ + 3, close - i_ - 3);
    out_ += in_.substr(i_, 3);
    if (name.starts_with('^')) {
      out_ += '^';
      name.remove_prefix(1);
    }
    if (name.size() > 2) out_ += "sc:";
    out_ += name;
    out_ += '}';
    i_ = close + 1;
  }

  size_t count_hexadecimal(size_t from, size_t at_most) const {
    size_t n = 0;
    while (n < at_most && from + n < in_.size() && is_alphanumeric(in_[from + n]) && (in_[from + n] | 0x20) <= 'f') ++n;
    return n;
  }

  void code_point() {  // \u0000: four digits
    if (count_hexadecimal(i_ + 2, 4) != 4) refuse(in_.substr(i_, 6));
    out_ += "\\x{" + std::string(in_.substr(i_ + 2, 4)) + "}";
    i_ += 6;
  }

  void hexadecimal() {  // \x00, \x{0000}; from 80 on, two digits are a byte there and a character here
    if (in_.substr(i_ + 2, 1) == "{") {
      const size_t close = in_.find('}', i_);
      if (close == std::string_view::npos) refuse(in_.substr(i_, 4));
      return copy(close + 1 - i_);
    }
    if (count_hexadecimal(i_ + 2, 2) != 2 || in_[i_ + 2] > '7') refuse(in_.substr(i_, 4));
    copy(4);
  }

  std::string_view in_, where_;
  size_t i_ = 0;
  bool in_class_ = false;
  std::string out_;
};

}  // namespace

std::string quote_regex(std::string_view text) {
  std::string quoted;
  for (const char c : text) {
    if (!is_alphanumeric(c) && static_cast<uint8_t>(c) < 0x80 && c > ' ') quoted += '\\';
    quoted += c;
  }
  return quoted;
}

std::string to_pcre2_syntax(std::string_view pattern, std::string_view where) {
  return Translator(pattern, where).run();
}

}  // namespace mfa
