// safetensors files: an 8-byte length, a JSON header, raw little-endian tensors.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/file.h"

namespace mfa {

struct StoredTensor {
  DType type = DType::f32;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;  // into the mapped file
  int64_t size() const;              // numbers
};

// One file, or a folder's model.safetensors or model.safetensors.index.json with its shards. Everything stays mapped.
// BadInput, naming the file and the tensor, for anything that does not add up: lengths, offsets, overlaps, types,
// shapes.
class SafetensorsReader {
 public:
  explicit SafetensorsReader(const std::filesystem::path& file_or_folder);
  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  bool has(const std::string& name) const { return tensors_.contains(name); }
  // BadInput if it is missing or has another shape.
  const StoredTensor& get(const std::string& name, std::span<const int64_t> shape) const;

 private:
  void open(const std::filesystem::path& file);
  std::vector<MappedFile> files_;
  std::map<std::string, StoredTensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

// Converts stored f32, f16, bf16 or f64 numbers to f32. dst.size() must be the tensor's size.
void to_f32(const StoredTensor& tensor, std::span<float> dst);

struct TensorToWrite {
  std::string name;
  DType type = DType::f32;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
};

// Writes atomically (base/file.h), tensors in the order given, each 64-byte aligned within the data where the format
// allows it. Metadata has at least {"format": "pt"}, which transformers asks for.
void write_safetensors(const std::filesystem::path& file, std::span<const TensorToWrite> tensors,
                       std::map<std::string, std::string> metadata = {});

}  // namespace mfa
