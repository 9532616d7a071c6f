#include "train/chat_tokens.h"

#include <string_view>

namespace mfa {
namespace {

// Where in `text` each token begins; empty if the tokens' bytes are not the text's. A space that a SentencePiece model
// puts in front of the text is no byte of it.
std::vector<size_t> begins_of(const Tokenizer& tokenizer, std::string_view text, const std::vector<int32_t>& ids) {
  std::vector<size_t> begins;
  begins.reserve(ids.size());
  size_t at = 0;
  for (const int32_t id : ids) {
    begins.push_back(at);
    std::string_view bytes = tokenizer.token_bytes(id);
    const std::string_view left = text.substr(at);
    if (at == 0 && !left.starts_with(bytes) && bytes.starts_with(' ')) bytes.remove_prefix(1);
    if (!left.starts_with(bytes)) return {};
    at += bytes.size();
  }
  return at == text.size() ? begins : std::vector<size_t>();
}

void append(const Tokenizer& tokenizer, std::string_view text, bool scored, ScoredTokens& tokens) {
  tokenizer.encode(text, tokens.ids, true);
  tokens.scored.resize(tokens.ids.size(), scored);
}

ScoredTokens encode_pieces(const Tokenizer& tokenizer, const ChatText& chat) {
  ScoredTokens tokens;
  const std::string_view text = chat.text;
  size_t at = 0;
  for (const ByteSpan& span : chat.spans) {
    append(tokenizer, text.substr(at, span.begin - at), false, tokens);
    append(tokenizer, text.substr(span.begin, span.end - span.begin), true, tokens);
    at = span.end;
  }
  append(tokenizer, text.substr(at), false, tokens);
  return tokens;
}

}  // namespace

ScoredTokens tokenize_chat(const Tokenizer& tokenizer, const ChatText& chat) {
  ScoredTokens tokens;
  tokens.ids = tokenizer.encode(chat.text, true);
  const std::vector<size_t> begins = begins_of(tokenizer, chat.text, tokens.ids);
  if (begins.size() != tokens.ids.size()) return encode_pieces(tokenizer, chat);
  tokens.scored.resize(tokens.ids.size());
  auto span = chat.spans.begin();
  for (size_t i = 0; i < begins.size(); ++i) {
    while (span != chat.spans.end() && begins[i] >= span->end) ++span;
    tokens.scored[i] = span != chat.spans.end() && begins[i] >= span->begin;
  }
  return tokens;
}

}  // namespace mfa
