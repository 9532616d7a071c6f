#include "formats/added_tokens.h"

#include <utf8proc.h>

#include <algorithm>

namespace mfa {
namespace {

// \w of Rust's regex crate: Alphabetic (here: letters and letter numbers), marks, decimal digits, connectors, joiners.
bool is_word(char32_t c) {
  if (c == 0x200c || c == 0x200d || (c >= 0x24b6 && c <= 0x24e9)) return true;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return false;
  }
}

// The character that ends before i; 0 where there is none, or bytes that are no character.
char32_t character_before(std::string_view text, size_t i) {
  for (size_t length = 1; length <= 4 && length <= i; ++length) {
    std::string_view one = text.substr(i - length, length);
    if (utf8_length(one) == length) return take_character(one);
  }
  return 0;
}

char32_t character_at(std::string_view text, size_t i) {
  std::string_view rest = text.substr(i, 4);
  return utf8_length(rest) > 0 ? take_character(rest) : 0;
}

size_t length_of(char32_t c) { return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4; }

}  // namespace

bool is_control(const AddedToken& token) {
  const std::string_view name = token.content;
  return token.special || (name.starts_with("<|") && name.ends_with("|>")) ||
         (name.starts_with("<｜") && name.ends_with("｜>"));
}

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::erase_if(tokens_, [](const AddedToken& token) { return token.content.empty(); });
  std::stable_sort(tokens_.begin(), tokens_.end(),
                   [](const AddedToken& a, const AddedToken& b) { return a.content < b.content; });
  for (const AddedToken& token : tokens_) begins_[static_cast<uint8_t>(token.content[0])] = true;
}

const AddedToken* AddedTokens::match(std::string_view text) const {
  const AddedToken* found = nullptr;
  auto begin = tokens_.begin(), end = tokens_.end();  // those that begin with text[0, depth)
  for (size_t depth = 0; depth < text.size(); ++depth) {
    const auto byte = static_cast<uint8_t>(text[depth]);
    const auto at = [&](const AddedToken& token) {  // a token that ends here comes first
      return depth < token.content.size() ? static_cast<int>(static_cast<uint8_t>(token.content[depth])) : -1;
    };
    begin = std::partition_point(begin, end, [&](const AddedToken& token) { return at(token) < byte; });
    end = std::partition_point(begin, end, [&](const AddedToken& token) { return at(token) <= byte; });
    if (begin == end) break;
    if (begin->content.size() == depth + 1) found = &*begin;
  }
  return found;
}

bool AddedTokens::stands_alone(std::string_view text, size_t begin, size_t end) {
  return (begin == 0 || !is_word(character_before(text, begin))) &&
         (end == text.size() || !is_word(character_at(text, end)));
}

size_t AddedTokens::before_spaces(std::string_view text, size_t i) {
  for (char32_t c = 0; i > 0 && is_white_space(c = character_before(text, i));) i -= length_of(c);
  return i;
}

size_t AddedTokens::behind_spaces(std::string_view text, size_t i) {
  for (char32_t c = 0; i < text.size() && is_white_space(c = character_at(text, i));) i += length_of(c);
  return i;
}

}  // namespace mfa
