// A rendered conversation as tokens, each with whether the model has to learn it.
#pragma once

#include <vector>

#include "formats/tokenizer.h"
#include "train/chat_text.h"

namespace mfa {

struct ScoredTokens {
  std::vector<int32_t> ids;
  std::vector<bool> scored;
};

// Special tokens in the text are tokens. A token is scored if its first byte lies in a span; one that begins before a
// span is the prompt's. The text is encoded in one piece, as transformers' apply_chat_template does. Where a normalizer
// changes it, so that bytes and tokens cannot be matched, it is encoded piece by piece, cut at the spans.
ScoredTokens tokenize_chat(const Tokenizer& tokenizer, const ChatText& chat);

}  // namespace mfa
