#include "formats/jinja/lexer.h"

#include <algorithm>
#include <charconv>

#include "formats/jinja/unicode.h"
#include "formats/utf8.h"

namespace mfa::jinja {
namespace {

bool is_digit_char(char c) { return c >= '0' && c <= '9'; }

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) lex_root();
    push(TokenKind::end, source_.size());
    return std::move(tokens_);
  }

 private:
  // Text up to the next tag, and the tag.
  void lex_root() {
    size_t tag = at_;
    while (true) {
      tag = source_.find('{', tag);
      if (tag == source_.npos || tag + 1 >= source_.size()) {
        push_data(source_.substr(at_), at_);
        at_ = source_.size();
        return;
      }
      const char next = source_[tag + 1];
      if (next == '{' || next == '%' || next == '#') break;
      ++tag;
    }
    const size_t data_begin = at_;
    const std::string_view text = source_.substr(at_, tag - at_);
    at_ = tag + 2;
    const char sign = at_ < source_.size() && (source_[at_] == '-' || source_[at_] == '+') ? source_[at_++] : ' ';
    const char kind = source_[tag + 1];
    push_data(stripped(text, sign, kind == '{'), data_begin);
    line_starting_ = false;
    if (kind == '#') return lex_comment(tag);
    if (kind == '%' && lex_raw(tag)) return;
    push(kind == '{' ? TokenKind::variable_begin : TokenKind::block_begin, tag);
    lex_code(kind == '{' ? "}}" : "%}");
  }

  // What is left of the text before a tag: "-" takes all white space, lstrip_blocks that of a line which holds
  // nothing else.
  std::string_view stripped(std::string_view text, char sign, bool variable) const {
    if (sign == '-') return without_space(text, false, true);
    if (sign == '+' || variable) return text;
    const size_t newline = text.rfind('\n');
    if (newline == text.npos && !line_starting_) return text;
    const size_t begin = newline == text.npos ? 0 : newline + 1;
    return without_space(text.substr(begin)).empty() ? text.substr(0, begin) : text;
  }

  void lex_comment(size_t tag) {
    const size_t close = source_.find("#}", at_);
    if (close == source_.npos) {
      if (at_ == source_.size()) return;  // Jinja2 lets a comment pass that ends with its opening
      throw SyntaxFault{tag, "the comment has no end, expected #}"};
    }
    const char sign = close > at_ ? source_[close - 1] : ' ';
    at_ = close + 2;
    after_tag(sign, true);
  }

  // White space behind a tag: "-" takes all, trim_blocks one newline unless the sign is "+".
  void after_tag(char sign, bool trims) {
    const size_t begin = at_;
    if (sign == '-') {
      skip_space();
    } else if (trims && sign != '+' && at_ < source_.size() && source_[at_] == '\n') {
      ++at_;
    }
    line_starting_ = at_ > begin && source_[at_ - 1] == '\n';
  }

  void skip_space() {
    while (at_ < source_.size()) {
      size_t next = at_;
      if (!is_space(next_code_point(source_, next))) break;
      at_ = next;
    }
  }

  // `word` and the end of a block, from `at`: where the tag ends (before white space that it takes) and its sign.
  bool match_tag(size_t at, std::string_view word, size_t& end, char& sign) {
    const size_t saved = at_;
    at_ = at;
    skip_space();
    bool matched = source_.substr(at_, word.size()) == word;
    if (matched) {
      at_ += word.size();
      skip_space();
      sign = at_ < source_.size() && (source_[at_] == '-' || source_[at_] == '+') ? source_[at_++] : ' ';
      matched = source_.substr(at_, 2) == "%}";
      end = at_ + 2;
    }
    at_ = saved;
    return matched;
  }

  // A raw block is text; at_ stands behind "{%" and its sign.
  bool lex_raw(size_t tag) {
    size_t end = 0;
    char sign = ' ';
    if (!match_tag(at_, "raw", end, sign) || sign == '+') return false;
    at_ = end;
    after_tag(sign, false);
    const size_t data = at_;
    for (size_t close = source_.find("{%", at_); close != source_.npos; close = source_.find("{%", close + 1)) {
      size_t inside = close + 2;
      char left = ' ';
      if (inside < source_.size() && (source_[inside] == '-' || source_[inside] == '+')) left = source_[inside++];
      if (!match_tag(inside, "endraw", end, sign)) continue;
      push_data(stripped(source_.substr(data, close - data), left, false), data);
      at_ = end;
      after_tag(sign, true);
      return true;
    }
    if (at_ == source_.size()) return true;
    throw SyntaxFault{tag, "the raw block has no end, expected {% endraw %}"};
  }

  // Tokens up to the end of a tag.
  void lex_code(std::string_view close) {
    while (true) {
      if (brackets_.empty() && lex_end(close)) return;
      skip_space();
      if (brackets_.empty() && lex_end(close)) return;
      if (at_ >= source_.size())
        throw SyntaxFault{at_, fmt::format("unexpected end of the template, expected {}", close)};
      lex_token();
    }
  }

  bool lex_end(std::string_view close) {
    size_t at = at_;
    char sign = ' ';
    const bool block = close == "%}";
    if (at < source_.size() && (source_[at] == '-' || (block && source_[at] == '+'))) sign = source_[at++];
    if (source_.substr(at, 2) != close) return false;
    push(block ? TokenKind::block_end : TokenKind::variable_end, at_);
    at_ = at + 2;
    after_tag(sign, block);
    return true;
  }

  void lex_token() {
    const size_t begin = at_;
    const char c = source_[at_];
    if (is_digit_char(c)) return lex_number();
    if (c == '\'' || c == '"') return lex_text(c);
    size_t end = at_;
    while (end < source_.size()) {
      size_t next = end;
      const uint32_t code = next_code_point(source_, next);
      if (code != '_' && !is_alnum(code)) break;
      end = next;
    }
    if (end > begin) {
      at_ = end;
      return push(TokenKind::name, begin, std::string(source_.substr(begin, end - begin)));
    }
    lex_symbol();
  }

  void lex_symbol() {
    const std::string_view two = source_.substr(at_, 2);
    for (const std::string_view symbol : {"**", "//", "==", "!=", ">=", "<="}) {
      if (two == symbol) {
        push(TokenKind::symbol, at_, std::string(symbol));
        at_ += 2;
        return;
      }
    }
    const char c = source_[at_];
    if (std::string_view("+-/*%~[](){}><=.:|,;").find(c) == std::string_view::npos) {
      size_t next = at_;
      next_code_point(source_, next);
      throw SyntaxFault{at_, fmt::format("unexpected character '{}'", source_.substr(at_, next - at_))};
    }
    if (c == '(' || c == '[' || c == '{') brackets_ += c == '(' ? ')' : c == '[' ? ']' : '}';
    if (c == ')' || c == ']' || c == '}') {
      if (brackets_.empty()) throw SyntaxFault{at_, fmt::format("unexpected '{}'", c)};
      if (brackets_.back() != c)
        throw SyntaxFault{at_, fmt::format("unexpected '{}', expected '{}'", c, brackets_.back())};
      brackets_.pop_back();
    }
    push(TokenKind::symbol, at_, std::string(1, c));
    ++at_;
  }

  // Digits with single underscores between them, from `at`: their end, or `at` if there are none.
  size_t digits_end(size_t at, std::string_view allowed) const {
    size_t end = at;
    while (end < source_.size()) {
      size_t next = end;
      if (source_[next] == '_' && end > at) ++next;
      if (next >= source_.size() || allowed.find(source_[next]) == allowed.npos) break;
      end = next + 1;
    }
    return end;
  }

  void lex_number() {
    constexpr std::string_view kDecimal = "0123456789";
    const size_t begin = at_;
    const size_t whole = digits_end(begin, kDecimal);
    size_t end = whole;
    if (end + 1 < source_.size() && source_[end] == '.' && is_digit_char(source_[end + 1])) {
      end = digits_end(end + 1, kDecimal);
    }
    if (end < source_.size() && (source_[end] | 32) == 'e') {
      const size_t sign = end + 1 < source_.size() && (source_[end + 1] == '+' || source_[end + 1] == '-') ? 1 : 0;
      const size_t exponent = digits_end(end + 1 + sign, kDecimal);
      if (exponent > end + 1 + sign) end = exponent;
    }
    // "x.0.1" means x[0][1]: no float begins behind a dot.
    const bool after_dot = begin > 0 && source_[begin - 1] == '.';
    if (end > whole && !after_dot) return push_float(begin, end);
    lex_integer(begin, whole);
  }

  void lex_integer(size_t begin, size_t decimal_end) {
    int base = 10;
    size_t digits = begin, end = decimal_end;
    if (source_[begin] == '0') {
      const char mark = begin + 1 < source_.size() ? static_cast<char>(source_[begin + 1] | 32) : ' ';
      const std::string_view allowed = mark == 'b' ? "01" : mark == 'o' ? "01234567" : "0123456789abcdefABCDEF";
      size_t first = begin + 2;
      if (first < source_.size() && source_[first] == '_') ++first;
      const bool other = (mark == 'b' || mark == 'o' || mark == 'x') && digits_end(first, allowed) > first;
      base = !other ? 10 : mark == 'b' ? 2 : mark == 'o' ? 8 : 16;
      digits = other ? first : begin;
      end = other ? digits_end(first, allowed) : digits_end(begin, "0");
    }
    std::string text(source_.substr(digits, end - digits));
    std::erase(text, '_');
    int64_t number = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), number, base).ec != std::errc()) {
      throw SyntaxFault{begin, "the integer is too large, expected at most 64 bits"};
    }
    at_ = end;
    push_number(begin, Value::integer(number));
  }

  void push_float(size_t begin, size_t end) {
    std::string text(source_.substr(begin, end - begin));
    std::erase(text, '_');
    at_ = end;
    push_number(begin, Value::floating(std::strtod(text.c_str(), nullptr)));
  }

  void lex_text(char quote) {
    const size_t begin = at_;
    size_t end = begin + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) throw SyntaxFault{begin, "the string has no end"};
    at_ = end + 1;
    push(TokenKind::text, begin, unescaped(source_.substr(begin + 1, end - begin - 1), begin));
  }

  void push(TokenKind kind, size_t offset, std::string text = {}) {
    tokens_.push_back({kind, offset, std::move(text)});
  }
  void push_number(size_t offset, Value number) {
    tokens_.push_back({TokenKind::number, offset, {}, std::move(number)});
  }
  void push_data(std::string_view text, size_t offset) {
    if (!text.empty()) push(TokenKind::data, offset, std::string(text));
  }

  std::string_view source_;
  size_t at_ = 0;
  bool line_starting_ = true;  // whether the text to come begins a line
  std::string brackets_;       // the closing ones that are awaited
  std::vector<Token> tokens_;
};

uint32_t hex_escape(std::string_view literal, size_t& at, size_t digits, size_t offset) {
  uint32_t code = 0;
  const char* begin = literal.data() + at;
  const size_t available = std::min(digits, literal.size() - at);
  const auto result = std::from_chars(begin, begin + available, code, 16);
  if (available < digits || result.ptr != begin + digits) throw SyntaxFault{offset, "truncated escape in a string"};
  at += digits;
  return code;
}

// Python resolves escapes after having replaced what is not ASCII by such: behind a backslash it stays spelled out.
std::string spelled(uint32_t code) {
  return code < 0x100     ? fmt::format("\\x{:02x}", code)
         : code < 0x10000 ? fmt::format("\\u{:04x}", code)
                          : fmt::format("\\U{:08x}", code);
}

void append_escape(std::string& out, std::string_view literal, size_t& at, size_t offset) {
  const size_t begin = at;
  const uint32_t code = next_code_point(literal, at);
  constexpr std::string_view kNames = "ntrabfv\\'\"", kMeanings = "\n\t\r\a\b\f\v\\'\"";
  if (code >= 0x80) {
    out += spelled(code);
  } else if (const size_t known = kNames.find(static_cast<char>(code)); known != kNames.npos) {
    out += kMeanings[known];
  } else if (code >= '0' && code <= '7') {
    uint32_t octal = 0;
    at = begin;
    while (at < literal.size() && at < begin + 3 && literal[at] >= '0' && literal[at] <= '7') {
      octal = octal * 8 + static_cast<uint32_t>(literal[at++] - '0');
    }
    append_utf8(octal, out);
  } else if (code == 'x' || code == 'u' || code == 'U') {
    const uint32_t given = hex_escape(literal, at, code == 'x' ? 2 : code == 'u' ? 4 : 8, offset);
    if (given > 0x10FFFF || (given >= 0xD800 && given <= 0xDFFF)) {
      throw SyntaxFault{offset, fmt::format("U+{:04X} is no character", given)};
    }
    append_utf8(given, out);
  } else if (code == 'N') {
    throw SyntaxFault{offset, "\\N{...} in a string is not supported"};
  } else if (code != '\n') {
    out += '\\';
    out += static_cast<char>(code);
  }
}

}  // namespace

std::string normalized_source(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
    } else {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    }
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

std::string unescaped(std::string_view literal, size_t offset) {
  std::string out;
  for (size_t at = 0; at < literal.size();) {
    if (literal[at] != '\\') {
      out += literal[at++];
      continue;
    }
    ++at;
    append_escape(out, literal, at, offset);
  }
  return out;
}

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace mfa::jinja
