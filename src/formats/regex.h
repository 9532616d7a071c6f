// Regular expressions as tokenizer files write them (Oniguruma's Ruby syntax), run by PCRE2 with its JIT.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace mfa {

// Immutable and safe to use from many threads at once. Character classes are those of the PCRE2 at hand: version 10.42
// knows Unicode 14, so that letters assigned later count as neither letters nor anything else.
class Regex {
 public:
  struct Match {
    size_t begin, end;
  };

  // BadInput, naming `where`, for a syntax error, for constructs that mean something else in Oniguruma, and for
  // patterns that match the empty text (Oniguruma's callers cut there, which no published pattern asks for).
  Regex(std::string_view pattern, std::string_view where);

  // The first non-empty match that begins at or after `from`. `text` must be valid UTF-8. BadInput if the pattern
  // backtracks without end.
  std::optional<Match> find(std::string_view text, size_t from) const;

  const std::string& pattern() const { return pattern_; }

 private:
  std::string pattern_;
  std::shared_ptr<const void> code_;
};

// A regex that matches `text` itself.
std::string quote_regex(std::string_view text);

// `pattern` in PCRE2's syntax, with the same meaning; BadInput where we know of none.
std::string to_pcre2_syntax(std::string_view pattern, std::string_view where);

}  // namespace mfa
