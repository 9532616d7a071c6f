// GPT-2's printable names of bytes: what byte-level vocabularies are written in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "formats/utf8.h"

namespace mfa {

// Printable Latin-1 bytes stand for themselves; the other 68 are written as U+0100…U+0143 (the space as Ġ).
// Appends one UTF-8 character of one or two bytes.
void append_byte_name(uint8_t byte, std::string& text);
std::string to_byte_names(std::string_view bytes);

// The bytes behind a vocabulary entry, or nothing where a character names no byte (such as ｜).
std::optional<std::string> from_byte_names(std::string_view text);

}  // namespace mfa
