#include "model/weight_file.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "formats/safetensors.h"
#include "model/gguf_weights.h"
#include "model/model_folder.h"

namespace mfa {
namespace {

class SafetensorsWeights : public WeightFile {
 public:
  explicit SafetensorsWeights(const fs::path& file_or_folder) : reader_(file_or_folder) {}

  std::vector<Entry> entries() const override {
    std::vector<Entry> entries;
    for (const auto& [name, tensor] : reader_.tensors())
      entries.push_back({name, std::string(name_of(tensor.type)), tensor.shape, tensor.size(),
                         static_cast<int64_t>(tensor.bytes.size())});
    return entries;
  }
  void check(const ModelConfig& config) const override { check_tensors(reader_, config, parameter_table(config)); }
  void read(const ModelConfig&, const ParameterSpec& spec, std::span<float> dst) const override {
    to_f32(reader_.get(spec.name, shape_on_disk(spec)), dst);
  }

 private:
  SafetensorsReader reader_;
};

}  // namespace

std::unique_ptr<WeightFile> open_weights(const fs::path& model) {
  if (is_gguf_model(model)) return std::make_unique<GgufWeights>(model);
  return std::make_unique<SafetensorsWeights>(weights_of(model));
}

std::string main_type(const WeightFile& weights) {
  std::map<std::string, int64_t> numbers;
  for (const WeightFile::Entry& entry : weights.entries()) numbers[entry.type] += entry.numbers;
  const auto most = std::max_element(numbers.begin(), numbers.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == numbers.end() ? "f32" : most->first;
}

}  // namespace mfa
