// The weights of a model as its files hold them, whatever their format. Everything stays mapped; numbers are converted
// one tensor at a time, when somebody asks for them.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/model_config.h"

namespace mfa {

class WeightFile {
 public:
  // A tensor under the file's own name and type.
  struct Entry {
    std::string name, type;  // "blk.0.attn_q.weight", "Q4_K"; "model.norm.weight", "bf16"
    std::vector<int64_t> shape;
    int64_t numbers = 0, bytes = 0;
  };

  virtual ~WeightFile() = default;
  virtual std::vector<Entry> entries() const = 0;

  // To be called before memory is taken for the config's parameters. BadInput names the first parameter that is missing
  // or has another shape, and then the first tensor that the config has no place for (rotary tables and the lm_head of
  // a tied model apart).
  virtual void check(const ModelConfig& config) const = 0;

  // The numbers of one parameter [rows, cols], in our order of rows. The config is the one that was checked.
  virtual void read(const ModelConfig& config, const ParameterSpec& spec, std::span<float> dst) const = 0;
};

// `model` is a folder, a .safetensors file or a GGUF file.
std::unique_ptr<WeightFile> open_weights(const std::filesystem::path& model);

// A model folder whose weights keep DeepSeek's order of rotary rows; open_weights puts them into ours. An adapter
// beside such a model has to keep that order too.
bool has_interleaved_rows(const std::filesystem::path& model);

// The type that most numbers are stored in, by the file's name for it ("f32", "bf16", "Q4_1").
std::string main_type(const WeightFile& weights);

}  // namespace mfa
