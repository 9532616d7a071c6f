// Text from bytes and tokens while they come, never half a UTF-8 character.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "formats/tokenizer.h"

namespace mfa {

// Bytes in, whole characters out. Bytes that cannot become a character pass at once.
class WholeCharacters {
 public:
  std::string push(std::string_view bytes);  // what is whole by now
  std::string finish();                      // what is left: a character that never ended

 private:
  std::string held_;  // at most three bytes
};

// Ids in, text out: joined, what push() and finish() return is Tokenizer::decode of the ids.
class TextDecoder {
 public:
  // `continues`: the ids go on from a text, so that a leading space is its own. `skip_special`: control tokens, such as
  // a BOS before the text, have no text. Keep `tokenizer` alive.
  explicit TextDecoder(const Tokenizer& tokenizer, bool continues = false, bool skip_special = false)
      : tokenizer_(tokenizer), spaces_(continues ? 0 : tokenizer.leading_spaces()), skip_special_(skip_special) {}

  std::string push(int32_t id);
  std::string finish() { return characters_.finish(); }

 private:
  const Tokenizer& tokenizer_;
  WholeCharacters characters_;
  int spaces_;  // so many may still have to go; 0 once the text has begun
  bool skip_special_;
};

}  // namespace mfa
