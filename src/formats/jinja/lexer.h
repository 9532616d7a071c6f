// Template text to tokens, with trim_blocks and lstrip_blocks as transformers sets them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "formats/jinja/value.h"

namespace mfa::jinja {

enum class TokenKind : uint8_t {
  data,
  variable_begin,
  variable_end,
  block_begin,
  block_end,
  name,
  text,
  number,
  symbol,
  end,
};

struct Token {
  TokenKind kind;
  size_t offset;     // in the source
  std::string text;  // data, name, string (unescaped) or symbol
  Value number{};
};

// An error at a known place in the source.
struct SyntaxFault {
  size_t offset;
  std::string message;
};

// "\r\n" and "\r" become "\n", one newline at the end is dropped; what offsets refer to.
std::string normalized_source(std::string_view source);

// The tokens of a normalized source; the last is `end`. SyntaxFault.
std::vector<Token> tokenize(std::string_view source);

// What stands between the quotes of a string literal, escapes resolved as Python does.
std::string unescaped(std::string_view literal, size_t offset);

}  // namespace mfa::jinja
