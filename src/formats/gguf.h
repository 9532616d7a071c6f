// GGUF files, versions 2 and 3, little endian: typed metadata, then tensors (ggml, docs/gguf.md).
//
//   "GGUF", u32 version, u64 tensors, u64 pairs; pairs: string key, u32 type, value; tensors: string name, u32 dims,
//   u64 size of each dim (fastest first), u32 type, u64 offset; padding to general.alignment (32); the data.
//   A string is a u64 length and that many bytes; a list is a u32 type, a u64 count and that many values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "formats/ggml_type.h"

namespace mfa {

enum class GgufType : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, list, u64, i64, f64 };

// One metadata value: a view into the mapped file, which must outlive it. A list costs nothing until it is asked for.
class GgufValue {
 public:
  GgufType type() const { return type_; }
  GgufType element() const { return element_; }  // of a list
  uint64_t count() const { return count_; }      // elements of a list

  // Nothing when the value is of another kind. Integers of every width are integers (u64 beyond 2^63 is none), and
  // also floats.
  std::optional<int64_t> as_int() const;
  std::optional<double> as_double() const;
  std::optional<bool> as_bool() const;
  std::optional<std::string_view> as_string() const;
  std::optional<std::vector<int64_t>> as_ints() const;
  std::optional<std::vector<double>> as_doubles() const;
  std::optional<std::vector<std::string_view>> as_strings() const;  // 16 bytes an element: the text stays mapped
  std::string shown() const;                                        // for people: short, on one line, valid UTF-8

 private:
  friend class GgufFile;
  GgufType type_ = GgufType::u8, element_ = GgufType::u8;
  uint64_t count_ = 0;
  std::string_view bytes_;  // a string's or a number's own bytes; a list's elements as the file holds them
};

struct GgufTensor {
  GgmlType type = GgmlType::f32;
  std::vector<int64_t> shape;        // slowest dim first, as everywhere else here: [rows, cols]
  std::span<const std::byte> bytes;  // into the mapped file
  int64_t size() const;              // numbers
};

// Everything stays mapped; opening costs time in proportion to the header. BadInput, naming the file and the key or
// tensor, for whatever does not add up: counts against the bytes left, lengths, types, duplicates, alignment, overlaps.
class GgufFile {
 public:
  explicit GgufFile(const std::filesystem::path& path);

  const std::string& where() const { return where_; }  // the path, for errors
  uint32_t version() const { return version_; }
  const std::map<std::string, GgufValue, std::less<>>& metadata() const { return metadata_; }
  const std::map<std::string, GgufTensor, std::less<>>& tensors() const { return tensors_; }
  bool has(std::string_view key) const { return metadata_.contains(key); }
  const GgufTensor* find_tensor(std::string_view name) const;

  // Metadata by key. find_: nothing where the key is missing; get_: BadInput then. Both: BadInput for another type, or
  // for a number outside [min, max]. Views last as long as this object.
  std::optional<int64_t> find_int(std::string_view key, int64_t min = std::numeric_limits<int64_t>::min(),
                                  int64_t max = std::numeric_limits<int64_t>::max()) const;
  std::optional<double> find_double(std::string_view key) const;
  std::optional<bool> find_bool(std::string_view key) const;
  std::optional<std::string_view> find_string(std::string_view key) const;
  std::optional<std::vector<int64_t>> find_ints(std::string_view key) const;
  std::optional<std::vector<double>> find_doubles(std::string_view key) const;
  std::optional<std::vector<std::string_view>> find_strings(std::string_view key) const;
  int64_t get_int(std::string_view key, int64_t min = std::numeric_limits<int64_t>::min(),
                  int64_t max = std::numeric_limits<int64_t>::max()) const;
  double get_double(std::string_view key) const;
  std::string_view get_string(std::string_view key) const;
  std::vector<std::string_view> get_strings(std::string_view key) const;

 private:
  class Reader;
  struct Extent {  // where a tensor's bytes lie in the data
    uint64_t begin, end;
    std::string_view name;
  };
  void read_metadata(Reader& in, uint64_t count);
  Extent read_tensor(Reader& in, uint64_t alignment);
  void place_tensors(std::vector<Extent> extents, std::span<const std::byte> data);

  std::string where_;
  MappedFile file_;
  uint32_t version_ = 0;
  std::map<std::string, GgufValue, std::less<>> metadata_;
  std::map<std::string, GgufTensor, std::less<>> tensors_;
};

// A file that begins with GGUF's four bytes, whatever its name.
bool is_gguf(const std::filesystem::path& path);

}  // namespace mfa
