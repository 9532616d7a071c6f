// Unicode's normal forms (UAX #15), by the tables of utf8proc.
#pragma once

#include <string>
#include <string_view>

namespace mfa {

enum class NormalForm { nfc, nfd, nfkc, nfkd };

// `text` (valid UTF-8) in that form. False, and `out` untouched, if it is in that form already.
// Linear in the text: most of it is passed over with one bit of a table a character, and runs of combining marks are
// sorted in O(n log n).
bool to_normal_form(std::string_view text, NormalForm form, std::string& out);

}  // namespace mfa
