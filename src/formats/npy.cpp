#include "formats/npy.h"

#include "base/error.h"
#include "base/file.h"

namespace mfa {

void write_npy(const fs::path& file, std::span<const float> values, const std::vector<int64_t>& shape) {
  std::string dims;
  for (const int64_t n : shape) dims += std::to_string(n) + ",";
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + dims + "), }";
  // Magic, version and length take 10 bytes; the header ends in a newline at a multiple of 64.
  header.append(64 - (10 + header.size() + 1) % 64, ' ');
  header += '\n';
  const auto length = static_cast<uint16_t>(header.size());
  AtomicFile out(file);
  out.write(std::string("\x93NUMPY\x01\x00", 8));
  out.write(std::string{static_cast<char>(length & 0xff), static_cast<char>(length >> 8)});
  out.write(header);
  out.write(std::as_bytes(values));
  out.commit();
}

}  // namespace mfa
