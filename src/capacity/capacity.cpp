#include "capacity/capacity.h"

#include <algorithm>
#include <set>

#include "base/error.h"

namespace mfa {
namespace {

constexpr std::string_view kAttentionMark = ".self_attn.";

// "model.layers.3.self_attn.q_proj.weight" -> "q_proj"; empty for tensors outside attention.
std::string attention_tensor(std::string_view name) {
  const size_t at = name.find(kAttentionMark);
  if (at == std::string_view::npos) return {};
  name.remove_prefix(at + kAttentionMark.size());
  return std::string(name.substr(0, name.find('.')));
}

// Parameters of the matrices that rows of tokens are multiplied with.
struct ProductParameters {
  double layers = 0;  // at run time
  double folded = 0;  // MFA-KR's value mix: part of o_proj once a model is loaded for inference
  double classifier = 0;
  double all() const { return layers + folded + classifier; }
};

ProductParameters product_parameters(const ModelConfig& config, const std::vector<ParameterSpec>& table) {
  ProductParameters sum;
  for (const ParameterSpec& p : table) {
    if (p.layer < 0 || p.vector || p.rows == 1) continue;
    (attention_tensor(p.name) == "value_mix" ? sum.folded : sum.layers) += static_cast<double>(p.size());
  }
  // Tied or not, the classifier is one [vocab, width] product; looking up an embedding is none.
  sum.classifier = static_cast<double>(config.vocab) * static_cast<double>(config.width);
  return sum;
}

// Dims that one query head meets for each visible token: key dims for the score, value dims for the weighted sum.
struct CoreDims {
  double key = 0, value = 0;
};

// Prefill and training expand MLA's latent into keys and values of each head.
CoreDims expanded_dims(const AttentionSpec& a) {
  return {static_cast<double>(a.key_dim()), static_cast<double>(a.value_dim)};
}

// Decoding absorbs the up-projections into the query and the output, so that heads meet the latent itself.
CoreDims decode_dims(const AttentionSpec& a) {
  if (a.key_source != KeySource::latent) return expanded_dims(a);
  return {static_cast<double>(a.kv_rank + a.rope_dim), static_cast<double>(a.kv_rank)};
}

double core_flops(const AttentionSpec& a, CoreDims dims, double visible) {
  return 2 * static_cast<double>(a.n_heads) * visible * (dims.key + dims.value);
}

template <class Measure>
LayerFigure over_layers(const ModelConfig& config, Measure measure) {
  LayerFigure figure;
  for (size_t i = 0; i < config.layers.size(); ++i) {
    const auto value = static_cast<double>(measure(config.layers[i].attention));
    figure.min = i == 0 ? value : std::min(figure.min, value);
    figure.max = i == 0 ? value : std::max(figure.max, value);
    figure.mean += value;
  }
  // A mean of equal numbers must be that number, without a rounding error.
  figure.mean = figure.uniform() ? figure.min : figure.mean / static_cast<double>(config.layers.size());
  return figure;
}

std::string attention_name(const ModelConfig& config) {
  std::set<std::string> seen;
  std::string name;
  for (const LayerSpec& layer : config.layers) {
    if (!seen.insert(layer.attention.preset).second) continue;
    name += (name.empty() ? "" : "+") + layer.attention.preset;
  }
  return name;
}

void count_parameters(const std::vector<ParameterSpec>& table, CapacityRow& row) {
  for (const ParameterSpec& p : table) {
    row.parameters += p.size();
    const std::string tensor = attention_tensor(p.name);
    if (tensor.empty()) continue;
    row.attention_parameters += p.size();
    const auto part = std::find_if(row.attention_parts.begin(), row.attention_parts.end(),
                                   [&](const AttentionPart& seen) { return seen.tensor == tensor; });
    if (part != row.attention_parts.end()) {
      part->parameters += p.size();
    } else {
      row.attention_parts.push_back({tensor, p.size()});
    }
  }
  row.active_parameters = row.parameters;
}

int64_t kv_bytes_per_token(const ModelConfig& config, DType type) {
  int64_t bytes = 0;
  for (int64_t i = 0; i < config.n_layers(); ++i) {
    if (!config.owns_cache(i)) continue;
    const AttentionSpec& a = config.layers[static_cast<size_t>(i)].attention;
    bytes += a.cache_numbers() * static_cast<int64_t>(size_of(type));
    if (type == DType::i8) bytes += a.cache_scales() * static_cast<int64_t>(size_of(DType::bf16));
  }
  return bytes;
}

void count_flops(const ModelConfig& config, const ProductParameters& products, CapacityRow& row) {
  const auto tokens = static_cast<double>(row.context);
  double prefill = 0, decode = 0, convention = 0;
  for (const LayerSpec& layer : config.layers) {
    const AttentionSpec& a = layer.attention;
    const int64_t seen_last = layer.window > 0 ? std::min(layer.window, row.context) : row.context;
    prefill += core_flops(a, expanded_dims(a), mean_visible_tokens(row.context, layer.window));
    decode += core_flops(a, decode_dims(a), static_cast<double>(seen_last));
    convention += 1.5 * core_flops(a, expanded_dims(a), tokens);  // 3 × forward, of half the square
  }
  row.flops_per_token_prefill = 2 * products.layers + 2 * products.classifier / tokens + prefill;
  row.flops_per_token_decode = 2 * (products.layers + products.classifier) + decode;
  row.flops_per_token_train = 6 * products.all() + convention;
  row.flops_per_token_train_exact = 6 * products.all() + 3.5 * prefill;
}

}  // namespace

int64_t shared_latent_subspace_dim(const AttentionSpec& a, int64_t width) {
  if (a.key_source == KeySource::input) return width;
  if (a.key_source == KeySource::latent) return std::min(width, a.kv_rank);
  return std::min(width, a.kv_heads * std::min(a.head_dim, a.value_dim));
}

int64_t factorization_rank_per_head(const AttentionSpec& a, int64_t width) {
  // MLA's rank stays at the head dim: its rotary extra dims carry position, and its latent is wider than a head.
  const int64_t query_side = a.q_rank > 0 ? a.q_rank : width;
  const int64_t latent = a.key_source == KeySource::latent ? a.kv_rank : width;
  return std::min({width, query_side, latent, a.head_dim, a.value_dim});
}

int64_t total_effective_rank(const AttentionSpec& a, int64_t width) {
  return a.n_heads * factorization_rank_per_head(a, width);
}

double mean_visible_tokens(int64_t tokens, int64_t window) {
  const auto t = static_cast<double>(tokens), w = static_cast<double>(window);
  if (window <= 0 || window >= tokens) return (t + 1) / 2;
  return (w * (w + 1) / 2 + (t - w) * w) / t;
}

CapacityRow capacity_of(const ModelConfig& config, std::string_view name, const CapacityOptions& options) {
  validate(config);
  if (options.kv_type != DType::f32 && options.kv_type != DType::bf16 && options.kv_type != DType::f16) {
    bad_input("[capacity] type of the cache, got {}, expected f32, bf16 or f16", name_of(options.kv_type));
  }
  CapacityRow row;
  row.name = name;
  row.attention = attention_name(config);
  row.context = options.context > 0 ? options.context : config.context;
  const std::vector<ParameterSpec> table = parameter_table(config);
  count_parameters(table, row);
  row.kv_bytes_per_token = kv_bytes_per_token(config, options.kv_type);
  row.slsd = over_layers(config, [&](const AttentionSpec& a) { return shared_latent_subspace_dim(a, config.width); });
  row.frh = over_layers(config, [&](const AttentionSpec& a) { return factorization_rank_per_head(a, config.width); });
  row.ter = over_layers(config, [&](const AttentionSpec& a) { return total_effective_rank(a, config.width); });
  count_flops(config, product_parameters(config, table), row);
  return row;
}

std::vector<CapacityRow> capacity_of_variants(std::span<const std::string_view> presets, const PresetOptions& shape,
                                              std::string_view shape_name, const CapacityOptions& options) {
  std::vector<CapacityRow> rows;
  for (const std::string_view preset : presets) {
    const ModelConfig config =
        rows.empty() ? make_preset(preset, shape) : match_parameters(preset, shape, rows.front().parameters);
    rows.push_back(capacity_of(config, shape_name, options));
  }
  return rows;
}

}  // namespace mfa
