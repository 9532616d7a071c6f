#include "capacity/capacity.h"

#include <algorithm>

#include "base/error.h"
#include "capacity/report_convention.h"

namespace mfa {
namespace {

double real(int64_t n) { return static_cast<double>(n); }

// Over the layers that have the figure: linear attention has none of the three.
template <class Measure>
LayerFigure over_layers(const CostModel& model, Measure measure) {
  LayerFigure figure;
  double layers = 0;
  for (const CostLayer& layer : model.layers) {
    if (layer.attention.linear) continue;
    const auto value = static_cast<double>(measure(layer.attention));
    figure.min = layers == 0 ? value : std::min(figure.min, value);
    figure.max = layers == 0 ? value : std::max(figure.max, value);
    figure.mean += value;
    ++layers;
  }
  // A mean of equal numbers must be that number, without a rounding error.
  figure.mean = figure.uniform() ? figure.min : figure.mean / layers;
  return figure;
}

void add_attention_parts(const CostModel& model, CapacityRow& row) {
  for (const CostLayer& layer : model.layers) {
    visit_attention_tensors(
        layer.attention, model.width, [&](std::string_view tensor, int64_t rows, int64_t cols, TensorRole) {
          const auto part = std::find_if(row.attention_parts.begin(), row.attention_parts.end(),
                                         [&](const AttentionPart& seen) { return seen.tensor == tensor; });
          if (part != row.attention_parts.end())
            part->parameters += rows * cols;
          else
            row.attention_parts.push_back({std::string(tensor), rows * cols});
        });
  }
}

void add_experts(const CostLayer& layer, const LayerCost& cost, CapacityRow& row) {
  if (layer.ffn.experts == 0) return;
  for (CapacityRow::Experts& kind : row.experts) {
    if (kind.experts != layer.ffn.experts || kind.top_k != layer.ffn.top_k || kind.numbers != cost.expert_numbers)
      continue;
    ++kind.layers;
    return;
  }
  row.experts.push_back({layer.ffn.experts, layer.ffn.top_k, cost.expert_numbers, 1});
}

// Numbers of the matrices that a trained token meets in products, those of experts it does not meet left out.
double numbers_in_products(const CostLayer& layer, const LayerCost& cost, int64_t width) {
  double numbers = real(cost.ffn_parameters - cost.idle_parameters);
  if (layer.ffn.bias) numbers -= real(2 * layer.ffn.width + width);
  if (layer.ffn.router_bias) numbers -= real(layer.ffn.experts);
  visit_attention_tensors(layer.attention, width, [&](const char*, int64_t rows, int64_t cols, TensorRole role) {
    if (role != TensorRole::vector) numbers += real(rows * cols);
  });
  return numbers;
}

// Forward attention over the whole square, three times over, halved: what the convention of `mfa bench train` counts.
double train_core(const CostAttention& a, double tokens) {
  if (a.linear) return 15 * real(a.n_heads * a.head_dim * a.value_dim);
  return 3 * real(a.n_heads) * tokens * real(a.key_dim() + a.value_dim);
}

void add_work(const Flops& decode, double kv_bytes, DecodeWork& work) {
  work.kv_bytes += kv_bytes;
  work.core_flops += decode[FlopPart::core] + decode[FlopPart::softmax];
  work.ffn_flops += decode[FlopPart::ffn] + decode[FlopPart::router] + decode[FlopPart::activations] +
                    decode[FlopPart::residual] + decode[FlopPart::norms] + decode[FlopPart::biases];
  work.linear_flops += decode[FlopPart::projections] + decode[FlopPart::rotation] + decode[FlopPart::value_map];
}

void add_layer(const CostModel& model, const CostLayer& layer, const CostQuery& query, CapacityRow& row) {
  const LayerCost cost = layer_cost(layer, query);
  row.parameters += cost.parameters();
  row.active_parameters += cost.active_parameters();
  row.attention_parameters += cost.attention_parameters;
  row.ffn_parameters += cost.ffn_parameters;
  row.kv_bytes_per_token += cost.kv_bytes_per_token;
  row.state_bytes += cost.state_bytes;
  row.kv_bytes_context += cost.kv_bytes_held;
  row.matrix_numbers += cost.matrix_numbers;
  row.vector_numbers += cost.vector_numbers;
  row.decode += cost.decode;
  row.prefill += cost.prefill;
  row.train += cost.train_forward;
  row.train += cost.train_backward;
  row.flops_per_token_train +=
      6 * numbers_in_products(layer, cost, model.width) + train_core(layer.attention, real(query.context));
  add_work(cost.decode, cost.kv_bytes_read, row.work);
  add_experts(layer, cost, row);
}

void add_outside(const CostModel& model, const CostQuery& query, CapacityRow& row) {
  const OutsideCost outside = outside_cost(model, query.context);
  row.parameters += outside.parameters;
  row.active_parameters += outside.parameters;
  row.matrix_numbers += outside.matrix_numbers;
  row.vector_numbers += outside.vector_numbers;
  row.decode += outside.decode;
  row.prefill += outside.prefill;
  row.train += outside.train_forward;
  row.train += outside.train_backward;
  // Tied or not, the classifier is one [vocab, width] product; looking up an embedding is none.
  row.flops_per_token_train += 6 * real(model.vocab) * real(model.width);
  row.work.ffn_flops += outside.decode.total();
}

double absorbed_prefill(const CostModel& model, const CostQuery& query) {
  bool latent = false;
  Flops sum = outside_cost(model, query.context).prefill;
  CostQuery absorbed = query;
  absorbed.absorbed_prefill = true;
  for (const CostLayer& layer : model.layers) {
    latent = latent || layer.attention.key_source == KeySource::latent;
    sum += layer_cost(layer, absorbed).prefill;
  }
  return latent ? sum.total() : 0;
}

void keep_reported_parts(Flops& flops) {
  for (int i = 0; i < kFlopParts; ++i) {
    const auto part = static_cast<FlopPart>(i);
    if (part != FlopPart::core && part != FlopPart::projections && part != FlopPart::ffn) flops[part] = 0;
  }
}

// The report's own figures in place of the exact ones; prefill, which it has none for, keeps the parts it counts.
void follow_report(const CostModel& model, CapacityRow& row) {
  row.work = report_work(model, row.context);
  row.decode = row.train = {};
  row.decode[FlopPart::core] = row.work.core_flops;
  row.decode[FlopPart::projections] = row.work.linear_flops;
  row.decode[FlopPart::ffn] = row.work.ffn_flops;
  row.train = row.decode * 3;
  keep_reported_parts(row.prefill);
  row.flops_per_token_train = report_train_flops(row.work);
  row.flops_per_token_prefill_absorbed = 0;
  row.kv_bytes_per_token = 0;
  row.kv_bytes_context = row.state_bytes;
  for (const CostLayer& layer : model.layers) {
    const CostAttention& a = layer.attention;
    if (!a.owns_cache) continue;
    const int64_t bytes = cache_numbers(a) * a.report_kv_bytes;
    row.kv_bytes_per_token += bytes;
    row.kv_bytes_context += bytes * (a.evicts ? visible_most(row.context, a.window, a.chunk) : row.context);
  }
}

// Sizes from a file may each be in range and their products not: 2^50 parameters and 2^60 bytes of cache are more than
// anyone has, and far from where 64 bits overflow.
void check_size(const CostModel& model, int64_t context) {
  double parameters = 2 * real(model.vocab) * real(model.width), cache = 0;
  const double H = real(model.width);
  for (const CostLayer& layer : model.layers) {
    const CostAttention& a = layer.attention;
    const CostFfn& f = layer.ffn;
    visit_attention_tensors(a, model.width, [&](const char*, int64_t rows, int64_t cols, TensorRole) {
      parameters += real(rows) * real(cols);
    });
    parameters += 3 * H * (real(f.width) + real(f.shared_width) + real(f.experts) * real(f.expert_width));
    if (a.linear)
      cache += 4 * real(a.n_heads) * real(a.head_dim) * real(a.value_dim);
    else
      cache += 5 * real(cache_numbers(a)) * real(context);  // f32, or int8 with its scales
  }
  if (!(parameters < 0x1p50))
    bad_input("[capacity] the model would have {:.3g} parameters, expected at most 2^50", parameters);
  if (!(cache < 0x1p60))
    bad_input("[capacity] {} tokens would leave {:.3g} bytes in the cache, expected at most 2^60", context, cache);
}

}  // namespace

int64_t shared_latent_subspace_dim(const AttentionSpec& a, int64_t width) {
  return shared_latent_subspace_dim(cost_attention(a, 0, true), width);
}
int64_t factorization_rank_per_head(const AttentionSpec& a, int64_t width) {
  return factorization_rank_per_head(cost_attention(a, 0, true), width);
}
int64_t total_effective_rank(const AttentionSpec& a, int64_t width) {
  return total_effective_rank(cost_attention(a, 0, true), width);
}

double mean_visible_tokens(int64_t tokens, int64_t window) { return visible_sum(tokens, window) / real(tokens); }

CapacityRow capacity_of(const CostModel& model, std::string_view name, const CapacityOptions& options) {
  const DType kv = options.kv_type;
  if (kv != DType::f32 && kv != DType::bf16 && kv != DType::f16 && kv != DType::i8)
    bad_input("[capacity] type of the cache, got {}, expected f32, bf16, f16 or int8", name_of(kv));
  CapacityRow row;
  row.name = name;
  row.attention = model.attention;
  row.convention = options.convention;
  row.runs = model.runs;
  row.notes = model.notes;
  row.context = options.context > 0 ? options.context : model.context;
  check_size(model, row.context);
  const CostQuery query{.width = model.width, .context = row.context, .kv_type = kv};
  for (const CostLayer& layer : model.layers) add_layer(model, layer, query, row);
  add_outside(model, query, row);
  add_attention_parts(model, row);
  const int64_t H = model.width;
  row.slsd = over_layers(model, [&](const CostAttention& a) { return shared_latent_subspace_dim(a, H); });
  row.frh = over_layers(model, [&](const CostAttention& a) { return factorization_rank_per_head(a, H); });
  row.ter = over_layers(model, [&](const CostAttention& a) { return total_effective_rank(a, H); });
  row.flops_per_token_prefill_absorbed = absorbed_prefill(model, query) / real(row.context);
  if (options.convention == Convention::step3_report) follow_report(model, row);
  row.flops_per_token_prefill = row.prefill.total() / real(row.context);
  row.flops_per_token_decode = row.decode.total();
  row.flops_per_token_train_exact =
      row.train.total() / (options.convention == Convention::exact ? real(row.context) : 1);
  row.prefill = row.prefill / real(row.context);
  if (options.convention == Convention::exact) row.train = row.train / real(row.context);
  if (row.work.kv_bytes > 0) row.flops_per_kv_byte = row.decode[FlopPart::core] / row.work.kv_bytes;
  return row;
}

CapacityRow capacity_of(const ModelConfig& config, std::string_view name, const CapacityOptions& options) {
  validate(config);
  return capacity_of(cost_model(config), name, options);
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
