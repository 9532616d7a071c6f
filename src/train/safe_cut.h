// Where a long text may be cut so that its pieces have the tokens of the whole.
#pragma once

#include <cstddef>
#include <string_view>

namespace mfa {

// True if the pre-tokenizers of byte-level BPE (GPT-2's expression and its descendants: Llama 3, Qwen, GPT-4o,
// DeepSeek) surely begin a new word at text[i], whatever stands further away, and end the word before it in the same
// way when the text ends there. Their one look-ahead is `\s+(?!\S)`, which depends on what follows a run of white
// space; so there are two such places:
//   - before a lone space between two ASCII letters ("a| b": the space goes with the word after it);
//   - after a lone line feed between a character that is no white space and an ASCII letter or digit or a non-ASCII
//     character that is no white space ("x\n|y"; not "/", which GPT-4o's expression takes with the line feed).
// It may be false where a cut would do no harm (it is, where the text is not UTF-8).
bool safe_cut_at(std::string_view text, size_t i);

// The last such place in [begin, end), and the first; 0 if there is none.
size_t last_safe_cut(std::string_view text, size_t begin, size_t end);
size_t first_safe_cut(std::string_view text, size_t begin, size_t end);

// The largest boundary of a UTF-8 character that is ≤ `i` (`i` itself where the text is not UTF-8).
size_t character_boundary(std::string_view text, size_t i);

}  // namespace mfa
