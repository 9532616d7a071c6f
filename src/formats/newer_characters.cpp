#include "formats/newer_characters.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <cstdint>
#include <cstring>

#include "formats/utf8.h"

namespace mfa {
namespace {

struct Newer {
  uint32_t first, last, older;
};

constexpr auto kNewer = std::to_array<Newer>({
#include "formats/newer_characters.inc"
});

constexpr uint32_t kBlock = 64;  // code points

// Blocks that hold a newer character: one bit answers for nearly all text.
const std::bitset<0x110000 / kBlock>& blocks() {
  static const auto made = [] {
    std::bitset<0x110000 / kBlock> bits;
    for (const Newer& range : kNewer) {
      for (uint32_t block = range.first / kBlock; block <= range.last / kBlock; ++block) bits.set(block);
    }
    return bits;
  }();
  return made;
}

char32_t older(char32_t c) {
  const auto range = std::ranges::lower_bound(kNewer, static_cast<uint32_t>(c), {}, &Newer::last);
  return range != kNewer.end() && range->first <= c ? static_cast<char32_t>(range->older) : c;
}

size_t ascii_run(std::string_view text, size_t at) {
  const size_t begin = at;
  uint64_t eight;
  while (at + sizeof(eight) <= text.size()) {
    std::memcpy(&eight, text.data() + at, sizeof(eight));
    if ((eight & 0x8080808080808080u) != 0) break;
    at += sizeof(eight);
  }
  while (at < text.size() && static_cast<uint8_t>(text[at]) < 0x80) ++at;
  return at - begin;
}

}  // namespace

std::string_view with_older_characters(std::string_view text, std::string& buffer) {
  const auto& hold = blocks();
  bool copied = false;
  std::string character;
  for (size_t at = 0; (at += ascii_run(text, at)) < text.size();) {
    std::string_view rest = text.substr(at, 4);
    const size_t length = utf8_length(rest);
    if (length == 0) {
      ++at;
      continue;
    }
    const char32_t c = take_character(rest);
    if (const char32_t stand = hold[c / kBlock] ? older(c) : c; stand != c) {
      if (!copied) buffer = text;
      copied = true;
      character.clear();
      append_utf8(stand, character);
      buffer.replace(at, length, character);
    }
    at += length;
  }
  return copied ? std::string_view(buffer) : text;
}

}  // namespace mfa
