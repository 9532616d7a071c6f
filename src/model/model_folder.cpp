#include "model/model_folder.h"

#include <set>

#include "base/error.h"
#include "formats/gguf.h"
#include "formats/json.h"
#include "formats/quant_blocks.h"
#include "model/config_json.h"
#include "model/gguf_config.h"

namespace mfa {
namespace {

bool may_be_ignored(const std::string& name, const ModelConfig& config) {
  return (config.tied && name == "lm_head.weight") || name.ends_with("rotary_emb.inv_freq");
}

}  // namespace

std::vector<int64_t> shape_on_disk(const ParameterSpec& spec) {
  return spec.vector ? std::vector<int64_t>{spec.cols} : std::vector<int64_t>{spec.rows, spec.cols};
}

bool is_gguf_model(const fs::path& model) {
  std::error_code none;
  return fs::is_regular_file(model, none) && (model.extension() == ".gguf" || is_gguf(model));
}

fs::path folder_of(const fs::path& model) {
  if (is_folder(model)) return model;
  if (!path_exists(model)) bad_input("[model] {} does not exist", model.string());
  if (model.extension() == ".safetensors" || is_gguf_model(model))
    return model.parent_path().empty() ? fs::path(".") : model.parent_path();
  bad_input("[model] {} is neither a model folder nor a .safetensors or GGUF file", model.string());
}

fs::path weights_of(const fs::path& model) { return is_folder(model) ? model : (folder_of(model), model); }

ModelConfig load_config(const fs::path& model) {
  if (is_gguf_model(model)) return config_from_gguf(GgufFile(model));
  const fs::path file = folder_of(model) / "config.json";
  if (path_exists(folder_of(model) / "adapter_config.json") && !path_exists(file))
    bad_input("[model] {0} is an adapter, not a model: mfa export BASE DST --lora {0} makes one of both",
              folder_of(model).string());
  if (!path_exists(file)) bad_input("[model] {} has no config.json", folder_of(model).string());
  return config_from_json(parse_json(MappedFile(file).text(), file.string()), file.string());
}

bool has_tokenizer(const fs::path& model) {
  if (is_gguf_model(model)) return GgufFile(model).has("tokenizer.ggml.tokens");
  return path_exists(folder_of(model) / "tokenizer.json");
}

Tokenizer load_tokenizer(const fs::path& model) {
  if (is_gguf_model(model)) return Tokenizer::from_gguf(GgufFile(model));
  const fs::path file = folder_of(model) / "tokenizer.json";
  if (!path_exists(file)) bad_input("[model] {} has no tokenizer.json", folder_of(model).string());
  return Tokenizer::load(file);
}

void check_tensors(const SafetensorsReader& weights, const ModelConfig& config, std::span<const ParameterSpec> table) {
  std::set<std::string_view> used;
  for (const ParameterSpec& spec : table) {
    weights.get(spec.name, shape_on_disk(spec));
    used.insert(spec.name);
  }
  for (const auto& [name, tensor] : weights.tensors())
    if (!used.contains(name) && !may_be_ignored(name, config))
      bad_input("[model] the weights hold a tensor that the config has no place for: {}", name);
}

void load_parameters(const SafetensorsReader& weights, const ModelConfig& config, ParameterStore& store) {
  check_tensors(weights, config, store.table());
  for (const ParameterSpec& spec : store.table()) {
    std::vector<float> values(static_cast<size_t>(spec.size()));
    to_f32(weights.get(spec.name, shape_on_disk(spec)), values);
    store.upload(spec, values);
  }
}

void load_parameters(const WeightFile& weights, const ModelConfig& config, ParameterStore& store) {
  weights.check(config);
  read_parameters(weights, config, store);
}

void read_parameters(const WeightFile& weights, const ModelConfig& config, ParameterStore& store) {
  for (const ParameterSpec& spec : store.table()) {
    std::vector<float> values(static_cast<size_t>(spec.size()));
    weights.read(config, spec, values);
    store.upload(spec, values);
  }
}

void write_parameters(const fs::path& file, const ParameterStore& store, DType type) {
  const GgmlType as = type == DType::f16 ? GgmlType::f16 : type == DType::bf16 ? GgmlType::bf16 : GgmlType::f32;
  std::vector<std::vector<std::byte>> bytes;
  std::vector<TensorToWrite> tensors;
  for (const ParameterSpec& spec : store.table()) {
    const std::vector<float> values = store.download(spec);
    const auto raw = std::as_bytes(std::span(values));  // f32 as it is, even where a run went wrong and left a NaN
    bytes.emplace_back(raw.begin(), raw.end());
    if (type != DType::f32) {
      bytes.back().resize(values.size() * size_of(type));
      quantize(as, values, bytes.back());
    }
    tensors.push_back({spec.name, type, shape_on_disk(spec), bytes.back()});
  }
  write_safetensors(file, tensors);
}

void save_tokenizer(const fs::path& folder, const Tokenizer& tokenizer) {
  write_file(folder / "tokenizer.json", tokenizer.to_json());
  Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                 {"add_prefix_space", false},
                 {"clean_up_tokenization_spaces", false},
                 {"model_max_length", 1000000000}};
  if (!tokenizer.prefix().empty()) config["add_bos_token"] = tokenizer.prefix()[0] == tokenizer.bos();
  if (tokenizer.bos() >= 0) config["bos_token"] = std::string(tokenizer.token_bytes(tokenizer.bos()));
  if (tokenizer.eos() >= 0) config["eos_token"] = std::string(tokenizer.token_bytes(tokenizer.eos()));
  write_file(folder / "tokenizer_config.json", config.dump(2) + "\n");
}

void save_generation_config(const fs::path& folder, const ModelConfig& config) {
  Json generation = {{"_from_model_config", true}};
  if (config.eos >= 0) generation["eos_token_id"] = config.eos;
  if (config.bos >= 0) generation["bos_token_id"] = config.bos;
  write_file(folder / "generation_config.json", generation.dump(2) + "\n");
}

void save_model(const fs::path& folder, const ModelConfig& config, const ParameterStore& store,
                const std::optional<Tokenizer>& tokenizer, DType type,
                const std::optional<std::string>& chat_template) {
  constexpr std::string_view names[] = {"float32", "float16", "bfloat16"};
  make_folder(folder);
  write_parameters(folder / "model.safetensors", store, type);
  if (tokenizer) save_tokenizer(folder, *tokenizer);
  if (chat_template) write_file(folder / "chat_template.jinja", *chat_template);
  save_generation_config(folder, config);
  const std::string_view dtype = names[type == DType::f16 ? 1 : type == DType::bf16 ? 2 : 0];
  write_file(folder / "config.json", config_to_json(config, dtype).dump(2) + "\n");
}

}  // namespace mfa
