// Cuts text into the pieces ("words") that byte-pair merges do not cross.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "formats/byte_unicode.h"
#include "formats/regex.h"

namespace mfa {

// GPT-2's pattern: contractions, words, numbers and punctuation with the space before them, runs of spaces.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// A list of regexes. Each cuts every piece that the ones before it left: matches become pieces, and so does what lies
// between them (Hugging Face's behaviour "Isolated"). No regex: the text is one piece.
class PreTokenizer {
 public:
  PreTokenizer() = default;
  explicit PreTokenizer(std::vector<Regex> splits) : splits_(std::move(splits)) {}

  // Calls visit(piece) for each piece from left to right; together they are `text`. Regexes see only valid UTF-8: each
  // run of invalid bytes is a piece of its own, and ends the text for look-ahead on either side.
  template <class Visit>
  void for_each_piece(std::string_view text, const Visit& visit) const {
    while (!text.empty()) {
      const size_t valid = valid_utf8_prefix(text);
      if (valid > 0) split(text.substr(0, valid), 0, visit);
      text.remove_prefix(valid);
      size_t invalid = 0;
      while (invalid < text.size() && valid_utf8_prefix(text.substr(invalid, 4)) == 0) ++invalid;
      if (invalid > 0) visit(text.substr(0, invalid));
      text.remove_prefix(invalid);
    }
  }

 private:
  // `level`: how many regexes have cut this piece already; at most as many calls deep as there are regexes.
  template <class Visit>
  void split(std::string_view piece, size_t level, const Visit& visit) const {
    if (level == splits_.size()) return visit(piece);
    size_t at = 0;
    while (at < piece.size()) {
      const auto match = splits_[level].find(piece, at);
      const size_t begin = match ? match->begin : piece.size();
      if (begin > at) split(piece.substr(at, begin - at), level + 1, visit);
      if (match) split(piece.substr(begin, match->end - begin), level + 1, visit);
      at = match ? match->end : piece.size();
    }
  }

  std::vector<Regex> splits_;
};

}  // namespace mfa
