#include "capacity/layer_cost.h"

#include <algorithm>

#include "capacity/layer_flops.h"

namespace mfa {
namespace {

constexpr int64_t kScaleGroup = 64;  // numbers of an int8 vector that share a bf16 scale (kernels/attention_args.h)

int64_t groups(int64_t dim) { return (dim + kScaleGroup - 1) / kScaleGroup; }

int64_t kv_bytes(const CostAttention& a, DType type) {
  const int64_t scales = type == DType::i8 ? cache_scales(a) : 0;
  return cache_numbers(a) * static_cast<int64_t>(size_of(type)) + scales * static_cast<int64_t>(size_of(DType::bf16));
}

void count_attention_parameters(const CostAttention& a, int64_t width, LayerCost& cost) {
  visit_attention_tensors(a, width, [&](const char*, int64_t rows, int64_t cols, TensorRole role) {
    cost.attention_parameters += rows * cols;
    if (role == TensorRole::vector) cost.vector_numbers += cols;
    // The value mix is folded into o_proj when a model is loaded.
    if (role == TensorRole::matrix || role == TensorRole::latent_up) cost.matrix_numbers += rows * cols;
  });
  if (a.value_source == ValueSource::key && a.owns_cache && a.reuse == KeyReuse::gated)
    cost.vector_numbers -= a.head_dim;  // its gate too
  // A layer that reads another's latent expands it by that layer's matrix.
  if (a.key_source == KeySource::latent && !a.owns_cache)
    cost.matrix_numbers += a.n_heads * (a.head_dim + a.value_dim) * a.kv_rank;
}

void count_ffn_parameters(const CostFfn& f, int64_t width, LayerCost& cost) {
  const int64_t dense = 3 * width * f.width, shared = 3 * width * f.shared_width + (f.shared_gate ? width : 0);
  const int64_t router = f.experts * width, biases = f.bias ? 2 * f.width + width : 0;
  cost.expert_numbers = f.experts > 0 ? 3 * width * f.expert_width : 0;
  cost.ffn_parameters = dense + shared + router + biases + f.experts * cost.expert_numbers;
  if (f.router_bias) cost.ffn_parameters += f.experts;
  cost.idle_parameters = (f.experts - f.top_k) * cost.expert_numbers;
  cost.matrix_numbers += dense + shared + router;
  cost.vector_numbers += biases + (f.router_bias ? f.experts : 0);
}

void count_cache(const CostAttention& a, const CostQuery& query, LayerCost& cost) {
  if (a.linear) {
    cost.state_bytes = cost.kv_bytes_held = a.n_heads * a.head_dim * a.value_dim * 4;
    cost.kv_bytes_read = 2.0 * static_cast<double>(cost.state_bytes);
    return;
  }
  const int64_t bytes = kv_bytes(a, query.kv_type);
  cost.kv_bytes_read = static_cast<double>(bytes) * static_cast<double>(visible_last(query.context, a.window, a.chunk));
  if (!a.owns_cache) return;
  cost.cache_numbers = cache_numbers(a);
  cost.kv_bytes_per_token = bytes;
  const int64_t seen = visible_most(query.context, a.window, a.chunk);
  cost.kv_bytes_held = bytes * (a.evicts ? seen : query.context);
}

}  // namespace

int64_t cache_numbers(const CostAttention& a) {
  if (a.linear) return 0;
  if (a.key_source == KeySource::latent) return a.kv_rank + a.rope_dim;
  if (a.key_source == KeySource::input) return a.head_dim;
  return a.kv_heads * (a.head_dim + (a.value_source == ValueSource::key ? 0 : a.value_dim));
}

int64_t cache_scales(const CostAttention& a) {
  if (a.linear) return 0;
  if (a.key_source == KeySource::latent) return groups(a.kv_rank + a.rope_dim);
  if (a.key_source == KeySource::input) return groups(a.head_dim);
  return a.kv_heads * (groups(a.head_dim) + (a.value_source == ValueSource::key ? 0 : groups(a.value_dim)));
}

int64_t shared_latent_subspace_dim(const CostAttention& a, int64_t width) {
  if (a.key_source == KeySource::input) return width;
  if (a.key_source == KeySource::latent) return std::min(width, a.kv_rank);
  return std::min(width, a.kv_heads * std::min(a.head_dim, a.value_dim));
}

int64_t factorization_rank_per_head(const CostAttention& a, int64_t width) {
  // MLA's rank stays at the head dim: its rotary extra dims carry position, and its latent is wider than a head.
  const int64_t query_side = a.q_rank > 0 ? a.q_rank : width;
  const int64_t latent = a.key_source == KeySource::latent ? a.kv_rank : width;
  return std::min({width, query_side, latent, a.head_dim, a.value_dim});
}

int64_t total_effective_rank(const CostAttention& a, int64_t width) {
  return a.n_heads * factorization_rank_per_head(a, width);
}

int64_t visible_most(int64_t tokens, int64_t window, int64_t chunk) {
  if (chunk > 0) tokens = std::min(tokens, chunk);
  return window > 0 ? std::min(window, tokens) : tokens;
}

int64_t visible_last(int64_t tokens, int64_t window, int64_t chunk) {
  if (chunk > 0) tokens = (tokens - 1) % chunk + 1;
  return window > 0 ? std::min(window, tokens) : tokens;
}

double visible_sum(int64_t tokens, int64_t window, int64_t chunk) {
  const auto triangle = [window](int64_t n) {
    const auto t = static_cast<double>(n), w = static_cast<double>(window);
    return window <= 0 || window >= n ? t * (t + 1) / 2 : w * (w + 1) / 2 + (t - w) * w;
  };
  if (chunk <= 0) return triangle(tokens);
  return static_cast<double>(tokens / chunk) * triangle(chunk) + triangle(tokens % chunk);
}

LayerCost layer_sizes(const CostLayer& layer, const CostQuery& query) {
  const CostAttention& a = layer.attention;
  LayerCost cost;
  count_attention_parameters(a, query.width, cost);
  count_ffn_parameters(layer.ffn, query.width, cost);
  cost.norm_parameters = layer.norms * query.width * (layer.norm == ModelNorm::layer ? 2 : 1);
  cost.vector_numbers += cost.norm_parameters;
  count_cache(a, query, cost);
  if (!a.linear) {
    cost.slsd = shared_latent_subspace_dim(a, query.width);
    cost.frh = factorization_rank_per_head(a, query.width);
    cost.ter = total_effective_rank(a, query.width);
  }
  return cost;
}

LayerCost layer_cost(const CostLayer& layer, const CostQuery& query) {
  LayerCost cost = layer_sizes(layer, query);
  cost.decode = inference_flops(layer, query, 1, query.context - 1, false);
  cost.prefill = inference_flops(layer, query, query.context, 0, !query.absorbed_prefill);
  cost.train_forward = forward_flops(layer, query);
  cost.train_backward = backward_flops(layer, query);
  return cost;
}

OutsideCost outside_cost(const CostModel& model, int64_t context) {
  const auto H = static_cast<double>(model.width), V = static_cast<double>(model.vocab),
             T = static_cast<double>(context);
  const int64_t norm = model.width * (model.norm == ModelNorm::layer ? 2 : 1), table = model.vocab * model.width;
  OutsideCost cost;
  cost.parameters = table * (model.tied ? 1 : 2) + norm;
  cost.matrix_numbers = table;
  cost.vector_numbers = norm + model.width;
  Flops embedding, row;
  embedding[FlopPart::embedding] = model.scaled_embedding ? H : 0;
  row[FlopPart::norms] = flops::norm(model.norm, H);
  row[FlopPart::classifier] = 2 * V * H + (model.final_soft_cap ? flops::kSoftCap * V : 0);
  cost.decode = embedding;
  cost.decode += row;
  cost.prefill = embedding * T;
  cost.prefill += row;
  cost.train_forward = cost.decode * T;
  cost.train_forward[FlopPart::loss] = T * flops::cross_entropy(V);
  cost.train_backward[FlopPart::embedding] = T * H * (model.scaled_embedding ? 2 : 1);  // added to the rows' gradients
  cost.train_backward[FlopPart::norms] = T * flops::norm_backward(model.norm, H, false);
  cost.train_backward[FlopPart::classifier] = T * (4 * V * H + (model.final_soft_cap ? flops::kSoftCap * V : 0));
  cost.train_backward[FlopPart::loss] = T * flops::cross_entropy_gradient(V);
  return cost;
}

std::string_view flop_part_name(FlopPart part) {
  constexpr std::array<std::string_view, kFlopParts> names = {"embedding",
                                                              "attention_projections",
                                                              "attention_core",
                                                              "softmax",
                                                              "rotation",
                                                              "norms",
                                                              "biases",
                                                              "value_map",
                                                              "ffn",
                                                              "router",
                                                              "activations",
                                                              "residual",
                                                              "classifier",
                                                              "loss"};
  return names[static_cast<size_t>(part)];
}

double Flops::total() const {
  double sum = 0;
  for (const double x : parts) sum += x;
  return sum;
}

Flops& Flops::operator+=(const Flops& other) {
  for (size_t i = 0; i < parts.size(); ++i) parts[i] += other.parts[i];
  return *this;
}

Flops Flops::operator*(double factor) const {
  Flops scaled = *this;
  for (double& x : scaled.parts) x *= factor;
  return scaled;
}

Flops Flops::operator/(double divisor) const {
  Flops share = *this;
  for (double& x : share.parts) x /= divisor;
  return share;
}

}  // namespace mfa
