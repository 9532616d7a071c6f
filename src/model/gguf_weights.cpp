#include "model/gguf_weights.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "formats/quant_blocks.h"
#include "model/gguf_config.h"
#include "model/model_folder.h"

namespace mfa {
namespace {

std::string block(int64_t layer, const char* name) { return fmt::format("blk.{}.{}", layer, name); }

bool is_kv_b(const ParameterSpec& spec) { return spec.name.ends_with("kv_b_proj.weight"); }

}  // namespace

GgufWeights::GgufWeights(const fs::path& path) : file_(path), architecture_(gguf_architecture(file_)) {}

std::vector<WeightFile::Entry> GgufWeights::entries() const {
  std::vector<Entry> entries;
  for (const auto& [name, tensor] : file_.tensors())
    entries.push_back({name, std::string(layout_of(tensor.type).name), tensor.shape, tensor.size(),
                       static_cast<int64_t>(tensor.bytes.size())});
  return entries;
}

const GgufTensor& GgufWeights::get(const std::string& name, std::span<const int64_t> shape) const {
  const GgufTensor* tensor = file_.find_tensor(name);
  if (tensor == nullptr) bad_input("[{}] tensor {} is missing", file_.where(), name);
  if (!std::equal(shape.begin(), shape.end(), tensor->shape.begin(), tensor->shape.end()))
    bad_input("[{}] shape of {}, got [{}], expected [{}]", file_.where(), name, fmt::join(tensor->shape, ", "),
              fmt::join(shape, ", "));
  return *tensor;
}

GgufWeights::SplitKvB GgufWeights::split_kv_b(const AttentionSpec& a, int64_t layer) const {
  const int64_t keys[] = {a.n_heads, a.kv_rank, a.head_dim}, values[] = {a.n_heads, a.value_dim, a.kv_rank};
  return {&get(block(layer, "attn_k_b.weight"), keys), &get(block(layer, "attn_v_b.weight"), values)};
}

void GgufWeights::check(const ModelConfig& config) const {
  std::set<std::string> used{"rope_freqs.weight"};
  for (const ParameterSpec& spec : parameter_table(config)) {
    const std::string name = gguf_tensor_name(spec.name);
    if (is_kv_b(spec) && file_.find_tensor(name) == nullptr) {
      split_kv_b(config.layers[static_cast<size_t>(spec.layer)].attention, spec.layer);
      used.insert({block(spec.layer, "attn_k_b.weight"), block(spec.layer, "attn_v_b.weight")});
      continue;
    }
    get(name, shape_on_disk(spec));
    used.insert(name);
  }
  for (const auto& [name, tensor] : file_.tensors())
    if (!used.contains(name))
      bad_input("[{}] holds a tensor that its architecture has no place for: {}", file_.where(), name);
}

void GgufWeights::read(const ModelConfig& config, const ParameterSpec& spec, std::span<float> dst) const {
  const std::string name = gguf_tensor_name(spec.name);
  if (is_kv_b(spec) && file_.find_tensor(name) == nullptr)
    return read_split_kv_b(config.layers[static_cast<size_t>(spec.layer)].attention, spec.layer, dst);
  const GgufTensor& tensor = get(name, shape_on_disk(spec));
  dequantize(tensor.type, tensor.bytes, dst);
  if (const auto rows = interleaved_rows(architecture_, config, spec))
    interleaved_to_half_split(*rows, spec.vector ? 1 : spec.cols, dst);
}

void GgufWeights::read_split_kv_b(const AttentionSpec& a, int64_t layer, std::span<float> dst) const {
  const SplitKvB split = split_kv_b(a, layer);
  std::vector<float> keys(static_cast<size_t>(split.keys->size())), values(static_cast<size_t>(split.values->size()));
  dequantize(split.keys->type, split.keys->bytes, keys);
  dequantize(split.values->type, split.values->bytes, values);
  float* row = dst.data();
  for (int64_t h = 0; h < a.n_heads; ++h) {
    for (int64_t i = 0; i < a.head_dim; ++i)
      for (int64_t j = 0; j < a.kv_rank; ++j) *row++ = keys[static_cast<size_t>((h * a.kv_rank + j) * a.head_dim + i)];
    row = std::copy_n(values.data() + h * a.value_dim * a.kv_rank, a.value_dim * a.kv_rank, row);
  }
}

}  // namespace mfa
