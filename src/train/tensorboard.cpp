#include "train/tensorboard.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/error.h"
#include "base/file.h"

namespace mfa {
namespace {

constexpr std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t x = i;
    for (int bit = 0; bit < 8; ++bit) x = (x >> 1) ^ ((x & 1) != 0 ? 0x82f63b78u : 0);
    table[i] = x;
  }
  return table;
}

constexpr std::array<uint32_t, 256> crc_table = make_table();

// TFRecord stores checksums rotated and shifted, since a checksum of data that hold checksums is weak.
uint32_t masked_crc(std::string_view bytes) { return std::rotr(crc32c(bytes), 15) + 0xa282ead8u; }

template <class T>
void put(std::string& out, T value) {  // little-endian, as everywhere here
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

// Protocol buffers: a field is its number and wire type, then the value.
enum Wire : uint32_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };
void put_key(std::string& out, uint32_t field, Wire wire) { put_varint(out, field << 3 | wire); }

void put_bytes(std::string& out, uint32_t field, std::string_view value) {
  put_key(out, field, Wire::bytes);
  put_varint(out, value.size());
  out += value;
}

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// message Event { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; }
std::string begin_event() {
  std::string event;
  put_key(event, 1, Wire::fixed64);
  put(event, wall_time());
  return event;
}

// message Summary { repeated Value value = 1; }  message Value { string tag = 1; float simple_value = 2; }
void put_value(std::string& summary, std::string_view tag, double number) {
  std::string value;
  put_bytes(value, 1, tag);
  put_key(value, 2, Wire::fixed32);
  put(value, static_cast<float>(number));
  put_bytes(summary, 1, value);
}

fs::path event_path(const fs::path& folder) {
  char host[256] = "host";
  ::gethostname(host, sizeof host - 1);
  const std::string base =
      fmt::format("events.out.tfevents.{}.{}.{}", static_cast<int64_t>(wall_time()), host, ::getpid());
  fs::path path = folder / base;
  for (int i = 1; path_exists(path); ++i) path = folder / fmt::format("{}.{}", base, i);
  return path;
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = (crc >> 8) ^ crc_table[(crc ^ static_cast<unsigned char>(c)) & 0xff];
  return ~crc;
}

TensorBoardWriter::TensorBoardWriter(const fs::path& folder) {
  make_folder(folder);
  path_ = event_path(folder);
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ < 0) bad_input("[tensorboard] cannot write {}: {}", path_.string(), std::strerror(errno));
  std::string event = begin_event();
  put_bytes(event, 3, "brain.Event:2");
  write_record(event);
}

TensorBoardWriter::~TensorBoardWriter() { ::close(fd_); }

void TensorBoardWriter::scalars(int64_t step, std::span<const Scalar> values) {
  std::string summary;
  for (const auto& [tag, number] : values) put_value(summary, tag, number);
  std::string event = begin_event();
  put_key(event, 2, Wire::varint);
  put_varint(event, static_cast<uint64_t>(step));
  put_bytes(event, 5, summary);
  write_record(event);
}

// TFRecord: u64 length, its masked CRC-32C, the data, their masked CRC-32C.
void TensorBoardWriter::write_record(std::string_view event) {
  std::string record;
  put(record, static_cast<uint64_t>(event.size()));
  put(record, masked_crc(record));
  record += event;
  put(record, masked_crc(event));
  for (std::string_view left = record; !left.empty();) {
    const ssize_t n = ::write(fd_, left.data(), left.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("[tensorboard] cannot write {}: {}", path_.string(), std::strerror(errno));
    left.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace mfa
