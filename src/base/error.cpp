#include "base/error.h"

namespace mfa {

std::string one_line(std::string_view message) {
  constexpr size_t kLongest = 900;  // bytes; a longer one quotes a file at length
  std::string line;
  for (const char c : message.substr(0, kLongest)) {
    const auto byte = static_cast<unsigned char>(c);
    line += byte < 0x20 || byte == 0x7f ? fmt::format("\\x{:02x}", byte) : std::string(1, c);
  }
  if (message.size() <= kLongest) return line;
  while ((line.back() & 0xc0) == 0x80) line.pop_back();  // whole characters only
  if ((line.back() & 0x80) != 0) line.pop_back();
  return line + "…";
}

}  // namespace mfa
