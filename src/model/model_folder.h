// The model folder: config.json, model.safetensors (or shards), tokenizer.json and its companions.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "formats/safetensors.h"
#include "formats/tokenizer.h"
#include "model/model_config.h"
#include "model/parameter_store.h"

namespace mfa {

// `model` is a folder, or a .safetensors file beside its config.json. BadInput names what is missing.
std::filesystem::path folder_of(const std::filesystem::path& model);
// What to open for its weights: the .safetensors file that was named, or the folder.
std::filesystem::path weights_of(const std::filesystem::path& model);
ModelConfig load_config(const std::filesystem::path& model);
// The tokenizer of the folder; BadInput if there is none.
Tokenizer load_tokenizer(const std::filesystem::path& model);
// The type most weights are stored in.
DType weight_type(const SafetensorsReader& weights);

// Reads every parameter of the store's table from `weights`, converting to the store's type. BadInput names the first
// tensor that is missing or has another shape. Tensors beside the table are ignored only if they are lm_head.weight of
// a tied model or rotary tables; any other is refused by name.
void load_parameters(const SafetensorsReader& weights, const ModelConfig& config, ParameterStore& store);

// Writes parameters by name, as f32.
void write_parameters(const std::filesystem::path& file, const ParameterStore& store);

// config.json, generation_config.json, model.safetensors (f32), tokenizer.json, tokenizer_config.json; each atomically,
// weights before the config, so that a folder with a config is whole.
void save_model(const std::filesystem::path& folder, const ModelConfig& config, const ParameterStore& store,
                const std::optional<Tokenizer>& tokenizer);
void save_tokenizer(const std::filesystem::path& folder, const Tokenizer& tokenizer);

}  // namespace mfa
