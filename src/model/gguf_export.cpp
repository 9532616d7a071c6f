#include "model/gguf_export.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "model/config_json.h"
#include "model/gguf_rope.h"
#include "model/model_folder.h"

namespace mfa {
namespace {

// general.file_type (llama.h, enum llama_ftype)
uint32_t file_type(GgmlType type) {
  switch (type) {
    case GgmlType::f16:
      return 1;
    case GgmlType::q4_0:
      return 2;
    case GgmlType::q8_0:
      return 7;
    case GgmlType::bf16:
      return 32;
    default:
      return 0;
  }
}

GgufArchitecture architecture_for(const ModelConfig& config) {
  const Layout layout = layout_of(config);
  const LayerSpec& layer = config.layers[0];
  if (layer.window > 0 && layer.window < config.context)
    bad_input("[export] GGUF's llama has no sliding window, got one of {} tokens in a context of {}", layer.window,
              config.context);
  switch (layout) {
    case Layout::llama:
    case Layout::mistral:
      return GgufArchitecture::llama;
    case Layout::qwen2:  // llama.cpp gives its qwen2 heads that fill the width; its llama takes the biases too
      return layer.attention.n_heads * layer.attention.head_dim == config.width ? GgufArchitecture::qwen2
                                                                                : GgufArchitecture::llama;
    case Layout::qwen3:
      return GgufArchitecture::qwen3;
    default:
      bad_input("[export] GGUF has no name for {}, expected a model in LLaMA's layout (or one that folds into it)",
                architecture_of(layout));
  }
}

void add_rope(GgufWriter& out, const std::string& prefix, const AttentionSpec& a) {
  RopeSpec rope = a.rope;
  if (rope.scaling == RopeScaling::ntk) {  // a larger base, and GGUF has no name for it
    const auto dim = static_cast<double>(a.head_dim);
    rope.theta *= std::pow(rope.factor, dim / (dim - 2));
    rope.scaling = RopeScaling::none;
  }
  out.add_f32(prefix + "rope.freq_base", static_cast<float>(rope.theta));
  out.add_u32(prefix + "rope.dimension_count", static_cast<uint32_t>(a.head_dim));
  if (rope.scaling != RopeScaling::linear && rope.scaling != RopeScaling::yarn) return;
  out.add_string(prefix + "rope.scaling.type", rope.scaling == RopeScaling::linear ? "linear" : "yarn");
  out.add_f32(prefix + "rope.scaling.factor", static_cast<float>(rope.factor));
  if (rope.scaling == RopeScaling::linear) return;
  out.add_u32(prefix + "rope.scaling.original_context_length", static_cast<uint32_t>(rope.original_context));
  out.add_f32(prefix + "rope.scaling.yarn_beta_fast", static_cast<float>(rope.beta_fast));
  out.add_f32(prefix + "rope.scaling.yarn_beta_slow", static_cast<float>(rope.beta_slow));
  if (rope.attention_factor > 0)  // ggml multiplies its own 0.1 ln(factor) + 1 by this
    out.add_f32(prefix + "rope.scaling.attn_factor",
                static_cast<float>(rope.attention_factor / (0.1 * std::log(rope.factor) + 1)));
}

void add_config(GgufWriter& out, GgufArchitecture architecture, const ModelConfig& config, GgmlType type) {
  const std::string prefix = std::string(gguf_name_of(architecture)) + ".";
  const AttentionSpec& a = config.layers[0].attention;
  const auto number = [&](const char* key, int64_t value) { out.add_u32(prefix + key, static_cast<uint32_t>(value)); };
  out.add_string("general.architecture", gguf_name_of(architecture));
  out.add_string("general.type", "model");
  out.add_u32("general.file_type", file_type(type));
  out.add_u32("general.quantization_version", 2);
  number("vocab_size", config.vocab);
  number("context_length", config.context);
  number("embedding_length", config.width);
  number("block_count", config.n_layers());
  number("feed_forward_length", config.layers[0].ffn);
  number("attention.head_count", a.n_heads);
  number("attention.head_count_kv", a.kv_heads);
  number("attention.key_length", a.head_dim);
  number("attention.value_length", a.value_dim);
  out.add_f32(prefix + "attention.layer_norm_rms_epsilon", static_cast<float>(config.norm_eps));
  add_rope(out, prefix, a);
}

GgmlType type_of(const ParameterSpec& spec, GgmlType type) {
  if (spec.vector) return GgmlType::f32;
  if (spec.cols % layout_of(type).numbers != 0) return GgmlType::f16;
  return type == GgmlType::q4_0 && spec.layer < 0 ? GgmlType::q8_0 : type;
}

}  // namespace

GgmlType parse_export_type(const std::string& name) {
  constexpr std::pair<std::string_view, GgmlType> types[] = {{"f32", GgmlType::f32},
                                                             {"f16", GgmlType::f16},
                                                             {"bf16", GgmlType::bf16},
                                                             {"q8_0", GgmlType::q8_0},
                                                             {"q4_0", GgmlType::q4_0}};
  for (const auto& [known, type] : types)
    if (name == known) return type;
  bad_input("[export] unknown type, got {}, expected f32, f16, bf16, q8_0 or q4_0", name);
}

GgufExported export_gguf(const fs::path& file, const ModelConfig& config, GgmlType type, GgufWriter writer,
                         const std::function<void(const ParameterSpec&, std::span<float>)>& read) {
  const GgufArchitecture architecture = architecture_for(config);
  add_config(writer, architecture, config, type);
  const std::vector<ParameterSpec> table = parameter_table(config);
  std::vector<GgufTensorToWrite> tensors;
  for (const ParameterSpec& spec : table)
    tensors.push_back({gguf_tensor_name(spec.name), type_of(spec, type), shape_on_disk(spec)});
  const AttentionSpec& a = config.layers[0].attention;
  std::vector<float> divisors;
  if (a.rope.scaling == RopeScaling::llama3) {
    divisors = rope_divisors(a.rope, a.head_dim);
    tensors.push_back({"rope_freqs.weight", GgmlType::f32, {static_cast<int64_t>(divisors.size())}});
  }
  const uint64_t bytes = writer.write(file, tensors, [&](size_t i, std::span<float> dst) {
    if (i >= table.size()) {
      std::copy(divisors.begin(), divisors.end(), dst.begin());
      return;
    }
    read(table[i], dst);
    if (const auto rows = interleaved_rows(architecture, config, table[i]))
      half_split_to_interleaved(*rows, table[i].vector ? 1 : table[i].cols, dst);
  });
  return {architecture, static_cast<int64_t>(tensors.size()), bytes};
}

}  // namespace mfa
