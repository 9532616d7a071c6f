// The weights of a GGUF file.
#pragma once

#include "formats/gguf.h"
#include "model/gguf_names.h"
#include "model/weight_file.h"

namespace mfa {

class GgufWeights : public WeightFile {
 public:
  explicit GgufWeights(const std::filesystem::path& path);
  std::vector<Entry> entries() const override;
  void check(const ModelConfig& config) const override;
  void read(const ModelConfig& config, const ParameterSpec& spec, std::span<float> dst) const override;

 private:
  // DeepSeek's kv_b_proj in two tensors: the keys' half transposed, [heads, kv_rank, head_dim], and the values',
  // [heads, value_dim, kv_rank].
  struct SplitKvB {
    const GgufTensor *keys, *values;
  };
  SplitKvB split_kv_b(const AttentionSpec& spec, int64_t layer) const;
  void read_split_kv_b(const AttentionSpec& spec, int64_t layer, std::span<float> dst) const;
  const GgufTensor& get(const std::string& name, std::span<const int64_t> shape) const;

  GgufFile file_;
  GgufArchitecture architecture_;
};

}  // namespace mfa
