// Writes GGUF files, version 3.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/ggml_type.h"

namespace mfa {

struct GgufTensorToWrite {
  std::string name;
  GgmlType type = GgmlType::f32;  // one that quantize() writes; the last dim must be whole blocks
  std::vector<int64_t> shape;     // slowest dim first
};

class GgufWriter {
 public:
  void add_u32(std::string_view key, uint32_t value);
  void add_f32(std::string_view key, float value);
  void add_bool(std::string_view key, bool value);
  void add_string(std::string_view key, std::string_view value);
  void add_strings(std::string_view key, std::span<const std::string> values);
  void add_i32s(std::string_view key, std::span<const int32_t> values);
  void add_f32s(std::string_view key, std::span<const float> values);

  // Writes atomically (base/file.h), tensors in the order given. `read(i, dst)` fills in the numbers of tensor i; no
  // more than one tensor is in memory at a time. BadInput for numbers that a type cannot hold (quant_blocks.h).
  // Returns the bytes of the file.
  uint64_t write(const std::filesystem::path& file, std::span<const GgufTensorToWrite> tensors,
                 const std::function<void(size_t, std::span<float>)>& read) const;

 private:
  void begin_pair(std::string_view key, uint32_t type);
  void begin_list(std::string_view key, uint32_t element, uint64_t count);
  std::string pairs_;
  uint64_t count_ = 0;
};

}  // namespace mfa
