#include "model/lora_folder.h"

#include <cmath>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "model/gguf_names.h"

namespace mfa {
namespace {

// PeftModel's base_model is the LoraModel, whose model is the CausalLM.
constexpr std::string_view kPrefix = "base_model.model.";

std::string name_on_disk(const ParameterSpec& spec) { return std::string(kPrefix) + spec.name; }

using Reorder = void (*)(const RotaryRows& rows, int64_t cols, std::span<float> values);

// Rows of B are rows of the module's output, and go where those of W go.
void reorder_rows(const ModelConfig& config, const ParameterSpec& spec, Reorder reorder, std::vector<float>& values) {
  constexpr std::string_view kB = ".lora_B.weight";
  if (!spec.name.ends_with(kB)) return;
  ParameterSpec base = spec;
  base.name = spec.name.substr(0, spec.name.size() - kB.size()) + ".weight";
  if (const auto rows = interleaved_rows(GgufArchitecture::deepseek2, config, base)) reorder(*rows, spec.cols, values);
}

std::vector<std::string> targets_of(const LoraSpec& spec, const ModelConfig& config) {
  if (!spec.targets.empty()) return spec.targets;
  std::set<std::string> all;
  for (const std::string& module : linear_modules(config)) all.insert(module.substr(module.rfind('.') + 1));
  return {all.begin(), all.end()};
}

// Members that change what an adapter computes, with the values that leave it plain LoRA. Others (dropout while
// training, how it was initialised, task names) do not matter to who reads it.
void refuse_unsupported(const Json& json, const std::string& where) {
  const std::string type = get_string(json, "peft_type", where);
  if (type != "LORA") bad_input("[lora] {}: peft_type, got {}, expected LORA", where, type);
  for (const char* key : {"fan_in_fan_out", "use_dora", "lora_bias", "use_qalora"})
    if (find_bool(json, key, where).value_or(false)) bad_input("[lora] {}: {} is not supported", where, key);
  const std::string bias = find_string(json, "bias", where).value_or("none");
  if (bias != "none") bad_input("[lora] {}: bias, got {}, expected none", where, bias);
  for (const char* key :
       {"modules_to_save", "rank_pattern", "alpha_pattern", "layers_to_transform", "layer_replication",
        "exclude_modules", "target_parameters", "trainable_token_indices", "megatron_config"})
    if (const Json* value = find_member(json, key, where); value != nullptr && !value->empty())
      bad_input("[lora] {}: {} is not supported", where, key);
}

// A list of last parts of names, or PEFT's word for all of them.
std::vector<std::string> read_targets(const Json& json, const std::string& where) {
  if (const Json* value = find_member(json, "target_modules", where);
      value != nullptr && value->is_string() && *value == "all-linear")
    return {};
  std::vector<std::string> targets;
  for (const Json& target : get_array(json, "target_modules", where)) {
    if (!target.is_string()) bad_input("[lora] {}: target_modules holds something that is no name", where);
    targets.push_back(target);
  }
  if (targets.empty()) bad_input("[lora] {}: target_modules is empty", where);
  return targets;
}

LoraSpec read_spec(const fs::path& file) {
  const std::string where = file.string();
  const Json json = parse_json(read_file(file), where);
  refuse_unsupported(json, where);
  LoraSpec spec;
  spec.rank = get_int(json, "r", where, 1, 1 << 20);
  spec.alpha = get_double(json, "lora_alpha", where, 0, 1e6);
  if (find_bool(json, "use_rslora", where).value_or(false)) spec.alpha *= std::sqrt(static_cast<double>(spec.rank));
  spec.targets = read_targets(json, where);
  return spec;
}

}  // namespace

void write_adapter_weights(const fs::path& folder, const Lora& lora, const ModelConfig& config, bool interleaved) {
  std::vector<std::vector<float>> values;
  std::vector<TensorToWrite> tensors;
  for (const ParameterSpec& spec : lora.weights.table()) {
    values.push_back(lora.weights.download(spec));
    if (interleaved) reorder_rows(config, spec, half_split_to_interleaved, values.back());
    tensors.push_back(
        {name_on_disk(spec), DType::f32, {spec.rows, spec.cols}, std::as_bytes(std::span(values.back()))});
  }
  write_safetensors(folder / kAdapterWeights, tensors);
}

void read_adapter_weights(const fs::path& folder, Lora& lora, const ModelConfig& config, bool interleaved) {
  const SafetensorsReader reader(folder / kAdapterWeights);
  std::set<std::string> known;
  for (const ParameterSpec& spec : lora.weights.table()) {
    const std::string name = name_on_disk(spec);
    const std::vector<int64_t> shape = {spec.rows, spec.cols};
    std::vector<float> values(static_cast<size_t>(spec.size()));
    to_f32(reader.get(name, shape), values);
    if (interleaved) reorder_rows(config, spec, interleaved_to_half_split, values);
    lora.weights.upload(spec, values);
    known.insert(name);
  }
  for (const auto& [name, tensor] : reader.tensors())
    if (!known.contains(name))
      bad_input("[lora] {} holds a tensor that the adapter has no place for: {}", (folder / kAdapterWeights).string(),
                name);
}

void write_adapter_config(const fs::path& folder, const LoraSpec& spec, const ModelConfig& config,
                          const std::string& base) {
  const Json json = {{"peft_type", "LORA"},
                     {"task_type", "CAUSAL_LM"},
                     {"base_model_name_or_path", base},
                     {"r", spec.rank},
                     {"lora_alpha", spec.alpha},
                     {"lora_dropout", 0.0},
                     {"target_modules", targets_of(spec, config)},
                     {"bias", "none"},
                     {"fan_in_fan_out", false},
                     {"init_lora_weights", true},
                     {"use_rslora", false},
                     {"use_dora", false},
                     {"inference_mode", true},
                     {"modules_to_save", nullptr}};
  write_file(folder / kAdapterConfig, json.dump(2) + "\n");
}

Lora load_adapter(Device& device, const ModelConfig& config, const fs::path& folder, bool interleaved) {
  if (!path_exists(folder / kAdapterConfig))
    bad_input("[lora] {} has no {}: it is no adapter folder", folder.string(), kAdapterConfig);
  Lora lora(device, config, read_spec(folder / kAdapterConfig));
  read_adapter_weights(folder, lora, config, interleaved);
  return lora;
}

}  // namespace mfa
