#include "formats/byte_unicode.h"

#include <array>
#include <cstring>

namespace mfa {
namespace {

constexpr bool names_itself(int byte) {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

struct Names {
  std::array<uint16_t, 256> of_byte{};   // byte → code point
  std::array<int16_t, 0x144> of_char{};  // code point → byte, −1: none
};

constexpr Names make_names() {
  Names names;
  names.of_char.fill(-1);
  int next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const int name = names_itself(byte) ? byte : next++;
    names.of_byte[static_cast<size_t>(byte)] = static_cast<uint16_t>(name);
    names.of_char[static_cast<size_t>(name)] = static_cast<int16_t>(byte);
  }
  return names;
}

constexpr Names kNames = make_names();

}  // namespace

void append_byte_name(uint8_t byte, std::string& text) {
  const uint16_t name = kNames.of_byte[byte];
  if (name < 0x80) {
    text += static_cast<char>(name);
  } else {
    text += static_cast<char>(0xc0 | (name >> 6));
    text += static_cast<char>(0x80 | (name & 0x3f));
  }
}

std::string to_byte_names(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) append_byte_name(static_cast<uint8_t>(byte), text);
  return text;
}

std::optional<std::string> from_byte_names(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i < text.size();) {
    const size_t length = utf8_length(text.substr(i));
    if (length == 0 || length > 2) return std::nullopt;
    size_t name = static_cast<uint8_t>(text[i]);
    if (length == 2) name = ((name & 0x1f) << 6) | (static_cast<uint8_t>(text[i + 1]) & 0x3f);
    if (name >= kNames.of_char.size() || kNames.of_char[name] < 0) return std::nullopt;
    bytes += static_cast<char>(kNames.of_char[name]);
    i += length;
  }
  return bytes;
}

}  // namespace mfa
