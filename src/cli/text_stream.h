// Text to the terminal in pieces, never half a UTF-8 character.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include "formats/tokenizer.h"

namespace mfa {

class TextStream {
 public:
  void text(std::string_view piece) {
    held_ += piece;
    const size_t whole = whole_characters();
    print(std::string_view(held_).substr(0, whole));
    held_.erase(0, whole);
  }
  void end() {
    print(held_ + "\n");
    held_.clear();
  }

 private:
  static void print(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }
  // Bytes up to the last character that is complete; a lead byte at the end waits for the rest of its character.
  size_t whole_characters() const {
    for (size_t back = 1; back <= 3 && back <= held_.size(); ++back) {
      const auto byte = static_cast<unsigned char>(held_[held_.size() - back]);
      if ((byte & 0xc0) == 0x80) continue;  // a continuation: the lead byte is further left
      const size_t length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
      return length > back ? held_.size() - back : held_.size();
    }
    return held_.size();
  }
  std::string held_;
};

}  // namespace mfa
