#include "formats/text_decoder.h"

#include <algorithm>

namespace mfa {
namespace {

// Bytes at the end that begin a character and do not end it.
size_t unfinished(std::string_view bytes) {
  for (size_t back = 1; back <= std::min<size_t>(3, bytes.size()); ++back) {
    const auto byte = static_cast<uint8_t>(bytes[bytes.size() - back]);
    if ((byte & 0xc0) == 0x80) continue;  // a continuation: the lead byte is further left
    const size_t length = byte < 0xc2 || byte > 0xf4 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    return length > back ? back : 0;
  }
  return 0;
}

}  // namespace

std::string WholeCharacters::push(std::string_view bytes) {
  held_ += bytes;
  std::string whole = std::move(held_);
  const size_t end = whole.size() - unfinished(whole);
  held_ = whole.substr(end);
  whole.resize(end);
  return whole;
}

std::string WholeCharacters::finish() {
  std::string rest;
  rest.swap(held_);
  return rest;
}

std::string TextDecoder::push(int32_t id) {
  std::string_view bytes = tokenizer_.token_bytes(id);
  if (skip_special_ && tokenizer_.is_special(id)) return {};
  for (; spaces_ > 0 && bytes.starts_with(' '); --spaces_) bytes.remove_prefix(1);
  if (!bytes.empty()) spaces_ = 0;
  return characters_.push(bytes);
}

}  // namespace mfa
