// Bytes of a file in order, decompressed on the way: plain, gzip (also of several members) or Zstandard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

namespace mfa {

// Memory is fixed (two buffers of 256 KiB and the decompressor's window), whatever the size of the file.
class ByteReader {
 public:
  virtual ~ByteReader() = default;
  // Fills `out` from its start and returns how much was read; less than asked only at the end of the file. BadInput,
  // naming the file, for a compressed stream that is damaged or cut short; Failure when the disk cannot be read.
  virtual size_t read(std::span<char> out) = 0;
  // Bytes of the file on disk consumed so far: what a progress bar can compare with the size of the file.
  virtual int64_t position() const = 0;
};

// By the extension: ".gz", ".zst", or "" for anything else, which is plain.
std::string_view compression_of(const std::filesystem::path& path);

// Both: BadInput if it cannot be opened or is not a regular file.
std::unique_ptr<ByteReader> open_reader(const std::filesystem::path& path);
std::unique_ptr<ByteReader> open_raw(const std::filesystem::path& path);  // as it is on disk, not decompressed

}  // namespace mfa
