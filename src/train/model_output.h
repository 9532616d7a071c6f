// What a run trains, and the files it becomes: a model folder, or an adapter folder beside the model it belongs to.
#pragma once

#include <filesystem>
#include <string_view>

#include "formats/tokenizer.h"
#include "model/lora.h"
#include "model/model_config.h"

namespace mfa {

struct RunModel {
  const ModelConfig& config;
  const Tokenizer& tokenizer;
  ParameterStore& weights;
  Lora* lora = nullptr;              // null: the weights themselves are trained
  std::filesystem::path base;        // with lora: the model that the adapters belong to
  bool interleaved = false;          // with lora: the base's rotary rows on disk are DeepSeek's (model/weight_file.h)
  std::filesystem::path companions;  // see write_companions; empty: none

  ParameterStore& trained() const { return lora != nullptr ? lora->weights : weights; }
  std::string_view weights_file() const;  // "model.safetensors" or "adapter_model.safetensors"
  void write_weights(const std::filesystem::path& folder) const;
  void read_weights(const std::filesystem::path& folder) const;
  std::string_view config_file() const;  // "config.json" or "adapter_config.json"
  // The tokenizer's files and, last, the config: a folder that has it is whole.
  void write_rest(const std::filesystem::path& folder) const;
};

// tokenizer.json and its companions (configuration, special tokens, chat template) and generation_config.json. With a
// `source`, the model that the run began from, its files are copied byte for byte, so that nothing of what its authors
// published is lost or rephrased; without one, or where it has none, they are made from the tokenizer and the config.
void write_companions(const std::filesystem::path& folder, const std::filesystem::path& source,
                      const ModelConfig& config, const Tokenizer& tokenizer);

// True for a file that write_weights and write_rest may leave: a checkpoint that holds nothing else is ours to delete.
bool is_model_file(std::string_view name);

}  // namespace mfa
