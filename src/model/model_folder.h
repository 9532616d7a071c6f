// MODEL as people name it: a model folder (config.json, model.safetensors or shards, tokenizer.json and companions), a
// .safetensors file beside its config.json, or a GGUF file, which holds all of that.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "formats/safetensors.h"
#include "formats/tokenizer.h"
#include "model/model_config.h"
#include "model/parameter_store.h"
#include "model/weight_file.h"

namespace mfa {

// A file that begins as GGUF files do.
bool is_gguf_model(const std::filesystem::path& model);
// The folder that holds what belongs to `model`: itself, or the one around the file. BadInput names what is missing.
std::filesystem::path folder_of(const std::filesystem::path& model);
// What to open for its weights: the .safetensors file that was named, or the folder.
std::filesystem::path weights_of(const std::filesystem::path& model);
ModelConfig load_config(const std::filesystem::path& model);
// The model's tokenizer; BadInput if there is none.
bool has_tokenizer(const std::filesystem::path& model);
Tokenizer load_tokenizer(const std::filesystem::path& model);

// Dims of a parameter in a file: a vector [cols], or a matrix [rows, cols].
std::vector<int64_t> shape_on_disk(const ParameterSpec& spec);
// WeightFile::check for safetensors: every tensor of `table` is there, and no other but what may be ignored.
void check_tensors(const SafetensorsReader& weights, const ModelConfig& config, std::span<const ParameterSpec> table);

// Reads every parameter of the store's table from `weights`, converting to the store's type. BadInput names the first
// tensor that is missing or has another shape. Tensors beside the table are ignored only if they are lm_head.weight of
// a tied model or rotary tables; any other is refused by name.
void load_parameters(const SafetensorsReader& weights, const ModelConfig& config, ParameterStore& store);
void load_parameters(const WeightFile& weights, const ModelConfig& config, ParameterStore& store);
// The same for a store that holds only a part of the model, from weights that have been checked.
void read_parameters(const WeightFile& weights, const ModelConfig& config, ParameterStore& store);

// Writes parameters by name, as f32, f16 or bf16.
void write_parameters(const std::filesystem::path& file, const ParameterStore& store, DType type = DType::f32);

// config.json, generation_config.json, model.safetensors, tokenizer.json, tokenizer_config.json, chat_template.jinja;
// each atomically, weights before the config, so that a folder with a config is whole.
void save_model(const std::filesystem::path& folder, const ModelConfig& config, const ParameterStore& store,
                const std::optional<Tokenizer>& tokenizer, DType type = DType::f32,
                const std::optional<std::string>& chat_template = {});
void save_tokenizer(const std::filesystem::path& folder, const Tokenizer& tokenizer);
// generation_config.json: the config's end and begin of a text.
void save_generation_config(const std::filesystem::path& folder, const ModelConfig& config);

}  // namespace mfa
