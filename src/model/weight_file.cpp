#include "model/weight_file.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "model/config_json.h"
#include "model/gguf_names.h"
#include "model/gguf_weights.h"
#include "model/model_folder.h"

namespace mfa {
namespace {

class SafetensorsWeights : public WeightFile {
 public:
  SafetensorsWeights(const fs::path& file_or_folder, bool interleaved)
      : reader_(file_or_folder), interleaved_(interleaved) {}

  std::vector<Entry> entries() const override {
    std::vector<Entry> entries;
    for (const auto& [name, tensor] : reader_.tensors())
      entries.push_back({name, std::string(name_of(tensor.type)), tensor.shape, tensor.size(),
                         static_cast<int64_t>(tensor.bytes.size())});
    return entries;
  }
  void check(const ModelConfig& config) const override {
    // Each layer has tensors of its own: a count beyond them must not become a table.
    if (config.n_layers() > static_cast<int64_t>(reader_.tensors().size()))
      bad_input("[model] the config has {} layers, the weights only {} tensors", config.n_layers(),
                reader_.tensors().size());
    check_tensors(reader_, config, parameter_table(config));
  }
  void read(const ModelConfig& config, const ParameterSpec& spec, std::span<float> dst) const override {
    to_f32(reader_.get(spec.name, shape_on_disk(spec)), dst);
    if (!interleaved_) return;
    if (const auto rows = interleaved_rows(GgufArchitecture::deepseek2, config, spec))
      interleaved_to_half_split(*rows, spec.cols, dst);
  }

 private:
  SafetensorsReader reader_;
  bool interleaved_;  // DeepSeek's order of rotary rows, which GGUF's deepseek2 keeps
};

}  // namespace

bool has_interleaved_rows(const fs::path& model) {
  if (is_gguf_model(model)) return false;
  const fs::path config = folder_of(model) / "config.json";
  return path_exists(config) &&
         rotates_neighbours(parse_json(MappedFile(config).text(), config.string()), config.string());
}

std::unique_ptr<WeightFile> open_weights(const fs::path& model) {
  if (is_gguf_model(model)) return std::make_unique<GgufWeights>(model);
  return std::make_unique<SafetensorsWeights>(weights_of(model), has_interleaved_rows(model));
}

std::string main_type(const WeightFile& weights) {
  std::map<std::string, int64_t> numbers;
  for (const WeightFile::Entry& entry : weights.entries()) numbers[entry.type] += entry.numbers;
  const auto most = std::max_element(numbers.begin(), numbers.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == numbers.end() ? "f32" : most->first;
}

}  // namespace mfa
