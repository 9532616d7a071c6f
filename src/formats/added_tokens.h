// Added tokens: pieces of text that become one id before anything else looks at the text.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/utf8.h"

namespace mfa {

struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool single_word = false;  // only where no letter, digit or _ stands beside it
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // … and behind it
  bool normalized = true;    // looked for in normalized text, after those that are not
  bool special = false;      // steers the model; not a person's text
};

// True for tokens that steer the model: those marked special, and those published without the mark whose form shows
// it, as llama.cpp's converter decides: <|…|> and <｜…｜>.
bool is_control(const AddedToken& token);

// Finds added tokens in text: the leftmost, and there the longest, as Hugging Face does.
class AddedTokens {
 public:
  AddedTokens() = default;
  explicit AddedTokens(std::vector<AddedToken> tokens);

  // Calls between(text) and found(id) from left to right; `between` never gets an empty text. Time in proportion to
  // the text, times the length of the longest token where many begin alike.
  template <class Between, class Found>
  void split(std::string_view text, const Between& between, const Found& found) const {
    size_t begin = 0;
    for (size_t i = tokens_.empty() ? text.size() : 0; i < text.size();) {
      const AddedToken* token = begins_[static_cast<uint8_t>(text[i])] ? match(text.substr(i)) : nullptr;
      if (token == nullptr) {
        ++i;
        continue;
      }
      const size_t end = i + token->content.size();
      if (token->single_word && !stands_alone(text, i, end)) {
        i = end;
        continue;
      }
      const size_t from = token->lstrip ? std::max(begin, before_spaces(text, i)) : i;
      if (from > begin) between(text.substr(begin, from - begin));
      found(token->id);
      begin = std::max(begin, token->rstrip ? behind_spaces(text, end) : end);
      i = end;
    }
    if (begin < text.size()) between(text.substr(begin));
  }

  bool empty() const { return tokens_.empty(); }

 private:
  const AddedToken* match(std::string_view text) const;  // the longest that begins `text`
  static bool stands_alone(std::string_view text, size_t begin, size_t end);
  static size_t before_spaces(std::string_view text, size_t i);  // where the white space that ends at i begins
  static size_t behind_spaces(std::string_view text, size_t i);

  std::vector<AddedToken> tokens_;  // sorted by content: those with a common beginning stand together
  std::array<bool, 256> begins_{};  // bytes that begin a token
};

}  // namespace mfa
