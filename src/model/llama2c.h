// llama2.c's model files (version 0, "stories260K.bin"): a header of seven int32, then f32 tensors without gaps, each
// kind for all layers together (karpathy/llama2.c, export.py and run.c).
#pragma once

#include <filesystem>

#include "base/file.h"
#include "model/weight_file.h"

namespace mfa {

// A LLaMA of our layout: llama2.c rotates neighbours, so the rows of q and k change their order as they are read.
class Llama2cWeights : public WeightFile {
 public:
  // BadInput when the header is not that of such a model or the file has not exactly its bytes.
  explicit Llama2cWeights(const std::filesystem::path& path);
  const ModelConfig& config() const { return config_; }

  std::vector<Entry> entries() const override;
  void check(const ModelConfig& config) const override;
  void read(const ModelConfig& config, const ParameterSpec& spec, std::span<float> dst) const override;

 private:
  // One kind of tensor, for all layers that have it.
  struct Kind {
    const char* suffix;  // of our parameter's name; empty for what nobody needs
    int64_t count, rows, cols, offset;
  };
  void lay_out(bool classifier);

  std::string where_;
  MappedFile file_;
  ModelConfig config_;
  std::vector<Kind> kinds_;
};

}  // namespace mfa
