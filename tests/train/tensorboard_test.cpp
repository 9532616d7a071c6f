#include "train/tensorboard.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <vector>

#include "base/file.h"
#include "train/corpus_fixtures.h"

namespace mfa {
namespace {

using namespace test;

// An own reader of the format, bit by bit, so that it shares nothing with the writer but the specification.
uint32_t slow_masked_crc(std::string_view bytes) {
  uint32_t crc = 0xffffffffu;
  for (const char c : bytes)
    for (int bit = 0; bit < 8; ++bit) {
      const uint32_t feedback = (crc ^ (static_cast<unsigned char>(c) >> bit)) & 1;
      crc = (crc >> 1) ^ (feedback != 0 ? 0x82f63b78u : 0);
    }
  crc = ~crc;
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

template <class T>
T take(std::string_view& bytes) {
  T value{};
  if (bytes.size() < sizeof value) throw std::out_of_range("short");
  std::memcpy(&value, bytes.data(), sizeof value);
  bytes.remove_prefix(sizeof value);
  return value;
}

std::vector<std::string> read_records(std::string_view file) {
  std::vector<std::string> records;
  while (!file.empty()) {
    const std::string_view length_bytes = file.substr(0, 8);
    const auto length = take<uint64_t>(file);
    EXPECT_EQ(take<uint32_t>(file), slow_masked_crc(length_bytes));
    if (length > file.size()) throw std::out_of_range("short");
    records.emplace_back(file.substr(0, length));
    file.remove_prefix(length);
    EXPECT_EQ(take<uint32_t>(file), slow_masked_crc(records.back()));
  }
  return records;
}

uint64_t take_varint(std::string_view& bytes) {
  uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = take<uint8_t>(bytes);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
}

struct Field {
  uint64_t number = 0, value = 0;  // fixed-width values as bits
  std::string bytes;
};

std::vector<Field> fields(std::string_view message) {
  std::vector<Field> all;
  while (!message.empty()) {
    const uint64_t key = take_varint(message);
    Field field{key >> 3, 0, ""};
    if ((key & 7) == 0) field.value = take_varint(message);
    if ((key & 7) == 1) field.value = take<uint64_t>(message);
    if ((key & 7) == 5) field.value = take<uint32_t>(message);
    if ((key & 7) == 2) {
      const uint64_t size = take_varint(message);
      if (size > message.size()) throw std::out_of_range("short");
      field.bytes = message.substr(0, size);
      message.remove_prefix(size);
    }
    all.push_back(field);
  }
  return all;
}

TEST(TensorBoard, KnowsCrc32c) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);            // the check value of the Rocksoft catalogue
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);  // RFC 3720, B.4
}

TEST(TensorBoard, WritesEventsThatReadBack) {
  const TempFolder folder;
  TensorBoardWriter writer(folder.path() / "run");
  writer.scalars(0, {{"loss/train", 10.5}});
  writer.scalars(300, {{"loss/train", 2.25}, {"lr", 1e-3}});
  const std::vector<std::string> records = read_records(read_file(writer.path()));  // while the writer is open
  ASSERT_EQ(records.size(), 3u);
  const std::vector<Field> version = fields(records[0]);
  ASSERT_EQ(version.size(), 2u);
  EXPECT_EQ(version[1].number, 3u);
  EXPECT_EQ(version[1].bytes, "brain.Event:2");
  const std::vector<Field> event = fields(records[2]);
  ASSERT_EQ(event.size(), 3u);
  EXPECT_GT(std::bit_cast<double>(event[0].value), 1.7e9);  // seconds since 1970: after 2023
  EXPECT_EQ(event[1].number, 2u);
  EXPECT_EQ(event[1].value, 300u);
  EXPECT_EQ(event[2].number, 5u);
  const std::vector<Field> values = fields(event[2].bytes);
  ASSERT_EQ(values.size(), 2u);
  const std::vector<Field> lr = fields(values[1].bytes);
  EXPECT_EQ(lr[0].bytes, "lr");
  EXPECT_EQ(std::bit_cast<float>(static_cast<uint32_t>(lr[1].value)), 1e-3f);
}

TEST(TensorBoard, NamesFilesAsTensorBoardLooksForThem) {
  const TempFolder folder;
  const TensorBoardWriter first(folder.path()), second(folder.path());  // within one second
  EXPECT_NE(first.path(), second.path());
  EXPECT_TRUE(first.path().filename().string().starts_with("events.out.tfevents."));
  EXPECT_TRUE(contains(bad_input_of([&] { TensorBoardWriter writer(folder.write("file", "x")); }), "file"));
}

}  // namespace
}  // namespace mfa
