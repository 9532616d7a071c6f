// Files: mapped reading and atomic writing. Every file we write appears whole or not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace mfa {

namespace fs = std::filesystem;

// A file mapped read-only. An empty file maps to no bytes. Throws BadInput if it cannot be opened.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const fs::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  size_t size() const { return size_; }

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// Writes to a temporary name beside `path`; commit() does fsync, rename, fsync of the folder. Without commit() the
// temporary file is removed and `path` is as it was. Throws Failure, naming the file, when the disk refuses, and
// BadInput when `path` cannot be such a file: its folder is missing, or it is a folder or a device (a rename would
// replace that).
class AtomicFile {
 public:
  explicit AtomicFile(const fs::path& path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  void write_at(uint64_t offset, std::span<const std::byte> bytes);
  void commit();

 private:
  fs::path path_, temporary_;
  int fd_ = -1;
};

bool is_temporary(std::string_view name);  // a name that AtomicFile gives to what is not committed yet
void sync_folder(const fs::path& folder);  // fsync: entries made in it are on disk from now on

void write_file(const fs::path& path, std::string_view text);  // AtomicFile in one call
std::string read_file(const fs::path& path);                   // the whole file; BadInput if it cannot be read

// Questions that a path without permission answers with no, instead of an exception.
bool path_exists(const fs::path& path);
bool is_folder(const fs::path& path);

// Makes the folder and its parents; BadInput if that is not possible, or if a file is in the way.
void make_folder(const fs::path& path);

// 32 hexadecimal digits of XXH3-128, as the program xxh128sum prints.
std::string checksum(std::span<const std::byte> bytes);
uint64_t hash64(std::string_view text);

// "1.5 MiB": for people.
std::string human_bytes(uint64_t bytes);

}  // namespace mfa
