// Adapters on disk as PEFT lays them out: adapter_config.json and adapter_model.safetensors.
#pragma once

#include <filesystem>
#include <string>

#include "model/lora.h"

namespace mfa {

inline constexpr const char* kAdapterWeights = "adapter_model.safetensors";
inline constexpr const char* kAdapterConfig = "adapter_config.json";

// The tensors, f32, under PEFT's names: base_model.model.MODULE.lora_A.weight. `interleaved`: the base's weights on
// disk keep DeepSeek's order of rotary rows (has_interleaved_rows), so the rows of B do on disk too.
void write_adapter_weights(const std::filesystem::path& folder, const Lora& lora, const ModelConfig& config,
                           bool interleaved);
// BadInput names the tensor that is missing, of another shape, or that no module of the adapter has a place for.
void read_adapter_weights(const std::filesystem::path& folder, Lora& lora, const ModelConfig& config, bool interleaved);
// `base`: the model that the adapter belongs to, as a person would name it.
void write_adapter_config(const std::filesystem::path& folder, const LoraSpec& spec, const ModelConfig& config,
                          const std::string& base);

// An adapter folder as we or PEFT wrote it. What the config asks for and we lack (DoRA, trained biases, ranks of single
// modules, …) is refused by name.
Lora load_adapter(Device& device, const ModelConfig& config, const std::filesystem::path& folder, bool interleaved);

}  // namespace mfa
