#include "train/model_output.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/file.h"
#include "formats/safetensors.h"
#include "model/chat_files.h"
#include "model/config_json.h"
#include "model/lora_folder.h"
#include "model/model_folder.h"

namespace mfa {
namespace {

// As transformers names them.
constexpr std::array<std::string_view, 10> kCompanions = {"tokenizer.json",
                                                          "tokenizer_config.json",
                                                          "special_tokens_map.json",
                                                          "added_tokens.json",
                                                          "tokenizer.model",
                                                          "vocab.json",
                                                          "merges.txt",
                                                          "chat_template.jinja",
                                                          "chat_template.json",
                                                          "generation_config.json"};

void copy_companions(const fs::path& source, const fs::path& folder) {
  for (const std::string_view name : kCompanions)
    if (path_exists(source / name)) write_file(folder / name, MappedFile(source / name).text());
}

}  // namespace

bool is_model_file(std::string_view name) {
  return name == "model.safetensors" || name == "config.json" || name == kAdapterWeights || name == kAdapterConfig ||
         std::find(kCompanions.begin(), kCompanions.end(), name) != kCompanions.end();
}

void write_companions(const fs::path& folder, const fs::path& source, const ModelConfig& config,
                      const Tokenizer& tokenizer) {
  const bool copies = !source.empty() && !is_gguf_model(source);
  if (copies) copy_companions(folder_of(source), folder);
  // Asked of the source: in the folder, a run that was killed here may have left the first of two files.
  const auto copied = [&](const char* name) { return copies && path_exists(folder_of(source) / name); };
  if (!copied("tokenizer.json")) save_tokenizer(folder, tokenizer);
  if (!copied("generation_config.json")) save_generation_config(folder, config);
  // A GGUF file holds its template inside; a folder's, in whichever file, has been copied.
  if (!source.empty() && is_gguf_model(source))
    if (const std::optional<std::string> chat = load_chat_template(source))
      write_file(folder / "chat_template.jinja", *chat);
}

std::string_view RunModel::weights_file() const { return lora != nullptr ? kAdapterWeights : "model.safetensors"; }

std::string_view RunModel::config_file() const { return lora != nullptr ? kAdapterConfig : "config.json"; }

void RunModel::write_weights(const fs::path& folder) const {
  if (lora != nullptr)
    write_adapter_weights(folder, *lora, config, interleaved);
  else
    write_parameters(folder / "model.safetensors", weights);
}

void RunModel::read_weights(const fs::path& folder) const {
  if (lora != nullptr)
    read_adapter_weights(folder, *lora, config, interleaved);
  else
    load_parameters(SafetensorsReader(folder / "model.safetensors"), config, weights);
}

void RunModel::write_rest(const fs::path& folder) const {
  write_companions(folder, companions, config, tokenizer);
  if (lora != nullptr)
    write_adapter_config(folder, lora->spec, config, base.string());
  else
    write_file(folder / "config.json", config_to_json(config).dump(2) + "\n");
}

}  // namespace mfa
