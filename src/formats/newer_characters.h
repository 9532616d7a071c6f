// Characters that are newer than the regex library's tables.
#pragma once

#include <string>
#include <string_view>

namespace mfa {

// PCRE2 10.42 knows Unicode 14; Hugging Face's regexes know 16, in which 10,301 more characters are letters, digits,
// marks, punctuation or symbols (🩷, CJK extension I). Patterns ask for such categories only; so this gives the text
// with each newer character replaced by an older one of the same category and the same number of bytes: what a regex
// matches there, at the same offsets, is what it should match in `text`. `text` itself where there is none, which most
// text costs one look at each character that is not ASCII.
std::string_view with_older_characters(std::string_view text, std::string& buffer);

}  // namespace mfa
