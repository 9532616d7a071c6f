#include "capacity/layer_flops.h"

#include <algorithm>

namespace mfa {
namespace {

using flops::norm;
using flops::norm_backward;

double real(int64_t n) { return static_cast<double>(n); }

bool latent(const CostAttention& a) { return a.key_source == KeySource::latent; }
bool reuses_key(const CostAttention& a) { return a.value_source == ValueSource::key; }
bool after_rope(const CostAttention& a) { return reuses_key(a) && a.reuse_at == ReuseAt::after_rope; }
// The cache holds unrotated keys, so that the value can be made of them.
bool rotates_on_read(const CostAttention& a) { return reuses_key(a) && !after_rope(a) && a.rotary_dim > 0; }
double out_cols(const CostAttention& a) { return real(a.n_heads * a.value_dim); }
double key_cols(const CostAttention& a) { return real(a.kv_heads * a.head_dim); }

// What is the same in every pass, per token: numbers of the matrices that it meets, and of the biases.
struct Linear {
  double projections = 0, latent_up = 0, biases = 0;
};

Linear linear_numbers(const CostLayer& layer, int64_t width) {
  const CostAttention& a = layer.attention;
  Linear sum;
  visit_attention_tensors(a, width, [&](const char*, int64_t rows, int64_t cols, TensorRole role) {
    if (role == TensorRole::matrix) sum.projections += real(rows * cols);
    if (role == TensorRole::latent_up) sum.latent_up += real(rows * cols);
  });
  const bool own = a.owns_cache && a.key_source == KeySource::projection;
  if (a.q_bias) sum.biases += real(a.n_heads * a.key_dim());
  if (a.kv_bias && own) sum.biases += key_cols(a) + (reuses_key(a) ? 0 : real(a.kv_heads * a.value_dim));
  if (a.o_bias) sum.biases += real(width);
  if (layer.ffn.bias) sum.biases += real(2 * layer.ffn.width + width);
  return sum;
}

double ffn_numbers(const CostFfn& f, double width) {
  return 3 * width * real(f.width + f.shared_width + f.top_k * f.expert_width);
}

// Scores of all experts, the choice, and the weighted sum of the chosen outputs.
double router_flops(const CostFfn& f, double width) {
  if (f.experts == 0) return 0;
  const double experts = real(f.experts), chosen = real(f.top_k);
  double sum = 2 * width * experts + (f.score == RouterScore::softmax ? 4 : 3) * experts;
  if (f.router_bias) sum += experts;
  if (f.normalize_top_k) sum += 2 * chosen;
  sum += 2 * width * chosen;
  if (f.shared_width > 0) sum += width + (f.shared_gate ? 2 * width + flops::kSigmoidGate - 1 + width : 0);
  return sum;
}

double activation_rows(const CostFfn& f) { return real(f.width + f.shared_width + f.top_k * f.expert_width); }

// Gates and norms on the head outputs, and on what a linear state is made of.
double output_gates(const CostAttention& a) {
  double sum = a.output_gate ? flops::kSigmoidGate * out_cols(a) : 0;
  if (a.linear) sum += (flops::kSigmoidGate - 1) * real(a.n_heads) * real(2 * a.head_dim + a.value_dim);  // silu
  return sum;
}

// Norms that every pass has, per token.
double token_norms(const CostLayer& layer, double width) {
  const CostAttention& a = layer.attention;
  double sum = real(layer.norms) * norm(layer.norm, width);
  if (a.q_norm) sum += norm(ModelNorm::rms, real(a.q_rank));
  if (a.qk_norm) sum += real(a.n_heads) * norm(ModelNorm::rms, real(a.key_dim()));
  if (a.owns_cache && a.qk_norm) sum += real(a.kv_heads) * norm(ModelNorm::rms, real(a.head_dim));
  if (a.owns_cache && latent(a)) sum += norm(ModelNorm::rms, real(a.kv_rank));
  if (a.output_norm) sum += norm(ModelNorm::rms, out_cols(a));
  return sum;
}

double query_rotation(const CostAttention& a) { return flops::kRotation * real(a.n_heads * a.rotary_dim); }
// MLA has one rotary key for all heads.
double key_rotation(const CostAttention& a) {
  return a.owns_cache ? flops::kRotation * real(latent(a) ? a.rotary_dim : a.kv_heads * a.rotary_dim) : 0;
}
double output_rotation(const CostAttention& a) { return a.rotary_dim > 0 ? flops::kRotation * out_cols(a) : 0; }

// Dims that one query head meets for each visible token.
struct CoreDims {
  double key = 0, value = 0;
};
CoreDims expanded_dims(const CostAttention& a) { return {real(a.key_dim()), real(a.value_dim)}; }
CoreDims absorbed_dims(const CostAttention& a) {
  return latent(a) ? CoreDims{real(a.kv_rank + a.rope_dim), real(a.kv_rank)} : expanded_dims(a);
}

// `pairs` of a query token and a token that it sees, for each head; `tokens` queries.
void add_core(const CostAttention& a, CoreDims dims, double pairs, double tokens, Flops& sum) {
  const double heads = real(a.n_heads);
  if (a.linear) {
    // S ← λ S + kᵀ v: three operations a number of the state; q S: two.
    sum[FlopPart::core] += 5 * heads * real(a.head_dim * a.value_dim) * tokens;
    return;
  }
  const double a_score = flops::kSoftmax + (a.alibi ? flops::kAlibi : 0) + (a.soft_cap ? flops::kSoftCap : 0);
  sum[FlopPart::core] += 2 * heads * (dims.key + dims.value) * pairs;
  sum[FlopPart::softmax] += heads * (a_score * pairs + dims.value * tokens);
}

// Cached keys that are rotated as they are read, in blocks of kPrefillRows new tokens.
double keys_read(const CostAttention& a, int64_t tokens, int64_t before) {
  double sum = 0;
  const int64_t whole = a.window > 0 ? 0 : tokens / kPrefillRows;  // without a window: an arithmetic series
  sum += real(whole) * real(before) + real(kPrefillRows) * real(whole) * real(whole + 1) / 2;
  for (int64_t done = whole * kPrefillRows; done < tokens; done += kPrefillRows) {
    const int64_t first = before + done, end = before + std::min(tokens, done + kPrefillRows);
    sum += real(end - (a.window > 0 ? std::max<int64_t>(0, first - a.window + 1) : 0));
  }
  return sum;
}

// Everything but attention itself, the value map and rotation: per token, forward.
void add_common(const CostLayer& layer, int64_t width, double tokens, Flops& sum) {
  const double H = real(width);
  const Linear linear = linear_numbers(layer, width);
  const CostFfn& f = layer.ffn;
  sum[FlopPart::projections] += tokens * 2 * linear.projections;
  sum[FlopPart::biases] += tokens * linear.biases;
  sum[FlopPart::norms] += tokens * token_norms(layer, H);
  sum[FlopPart::ffn] += tokens * 2 * ffn_numbers(f, H);
  sum[FlopPart::router] += tokens * router_flops(f, H);
  const double gate = f.activation == Activation::swiglu ? flops::kSwiglu : flops::kGeglu;
  sum[FlopPart::activations] += tokens * (gate * activation_rows(f) + output_gates(layer.attention));
}

}  // namespace

Flops inference_flops(const CostLayer& layer, const CostQuery& query, int64_t tokens, int64_t before, bool expanded) {
  const CostAttention& a = layer.attention;
  const double n = real(tokens), H = real(query.width);
  Flops sum;
  add_common(layer, query.width, n, sum);
  // Absorbed or expanded, every number of the up-projection is met once a token; a layer that reads another's cache
  // meets that layer's matrix.
  if (latent(a)) sum[FlopPart::projections] += n * 2 * real(a.n_heads * (a.head_dim + a.value_dim) * a.kv_rank);
  const double pairs = visible_sum(before + tokens, a.window, a.chunk) - visible_sum(before, a.window, a.chunk);
  add_core(a, expanded ? expanded_dims(a) : absorbed_dims(a), pairs, n, sum);
  double rotation = n * query_rotation(a);
  if (rotates_on_read(a))
    rotation += flops::kRotation * real(a.kv_heads * a.rotary_dim) * keys_read(a, tokens, before);
  else
    rotation += n * key_rotation(a);
  if (after_rope(a)) rotation += n * output_rotation(a);
  sum[FlopPart::rotation] += rotation;
  sum[FlopPart::residual] += n * 2 * H * (layer.scaled_residual ? 3 : 1);
  return sum;
}

Flops forward_flops(const CostLayer& layer, const CostQuery& query) {
  const CostAttention& a = layer.attention;
  const double n = real(query.context);
  Flops sum;
  add_common(layer, query.width, n, sum);
  sum[FlopPart::projections] += n * 2 * linear_numbers(layer, query.width).latent_up;
  add_core(a, expanded_dims(a), visible_sum(query.context, a.window, a.chunk), n, sum);
  sum[FlopPart::rotation] += n * (query_rotation(a) + key_rotation(a) + (after_rope(a) ? output_rotation(a) : 0));
  if (layer.scaled_residual) sum[FlopPart::residual] += n * 4 * real(query.width);
  if (!reuses_key(a) || a.reuse == KeyReuse::identity) return sum;
  // Before RoPE the owner maps its one key; after RoPE every reader maps each head's output.
  const double maps = after_rope(a) ? real(a.n_heads) : a.owns_cache ? 1 : 0, C = real(a.head_dim);
  const double gate = a.reuse == KeyReuse::gated ? flops::kGate : a.reuse == KeyReuse::residual ? flops::kResidual : 0;
  sum[FlopPart::value_map] += n * maps * (2 * C * C + gate * C);
  return sum;
}

namespace {

// Going back through MFA-KR's value: the map's own products, and the adding of gradients that meet at the key.
double reuse_backward(const CostAttention& a) {
  const double C = real(a.head_dim), keys = key_cols(a), outputs = out_cols(a);
  const bool mapped = a.reuse != KeyReuse::identity;
  // Of one mapped row of C numbers: the path beside the map, the gate, both products.
  const double beside = a.reuse == KeyReuse::map ? 0 : C;
  const double map = mapped ? 4 * C * C + (a.reuse == KeyReuse::gated ? flops::kGateBackward * C : 0) : 0;
  double sum = 0;
  if (after_rope(a)) sum += outputs / C * (beside + map);
  if (!a.owns_cache) return sum;
  sum += keys;                                              // the rotated key's gradient
  sum += after_rope(a) ? keys : keys / C * (beside + map);  // and the value's
  return sum;
}

double backward_norms(const CostLayer& layer, double width) {
  const CostAttention& a = layer.attention;
  double sum = real(layer.norms) * norm_backward(layer.norm, width, true);
  if (a.q_norm) sum += norm_backward(ModelNorm::rms, real(a.q_rank), false);
  if (a.qk_norm) sum += real(a.n_heads) * norm_backward(ModelNorm::rms, real(a.key_dim()), false);
  if (a.owns_cache && a.qk_norm) sum += real(a.kv_heads) * norm_backward(ModelNorm::rms, real(a.head_dim), false);
  if (a.owns_cache && latent(a)) sum += norm_backward(ModelNorm::rms, real(a.kv_rank), false);
  if (a.output_norm) sum += norm_backward(ModelNorm::rms, out_cols(a), false);
  return sum;
}

void add_core_backward(const CostAttention& a, double pairs, double tokens, Flops& sum) {
  const double heads = real(a.n_heads);
  if (a.linear) {
    sum[FlopPart::core] += 10 * heads * real(a.head_dim * a.value_dim) * tokens;  // twice the forward pass
    return;
  }
  // Scores again, dP, dQ, dK meet the key's or value's dims; dV the value's: three times key, two times value.
  const double key = real(a.key_dim()), value = real(a.value_dim);
  const double a_score =
      flops::kSoftmaxBackward + (a.alibi ? flops::kAlibi : 0) + (a.soft_cap ? 2 * flops::kSoftCap : 0);
  sum[FlopPart::core] += 2 * heads * (3 * key + 2 * value) * pairs;
  sum[FlopPart::softmax] += heads * (a_score * pairs + 2 * value * tokens);  // Σ dO · O of each row
}

}  // namespace

Flops backward_flops(const CostLayer& layer, const CostQuery& query) {
  const CostAttention& a = layer.attention;
  const CostFfn& f = layer.ffn;
  const double n = real(query.context), H = real(query.width);
  const Linear linear = linear_numbers(layer, query.width);
  Flops sum;
  sum[FlopPart::projections] = n * 4 * (linear.projections + linear.latent_up);
  sum[FlopPart::biases] = n * linear.biases;
  sum[FlopPart::norms] = n * backward_norms(layer, H);
  sum[FlopPart::ffn] = n * 4 * ffn_numbers(f, H);
  // Kinds that we do not train: elementwise work counts twice its forward pass, as products do.
  sum[FlopPart::router] = n * 2 * router_flops(f, H);
  const double gate = f.activation == Activation::swiglu ? flops::kSwigluBackward : 2 * flops::kGeglu;
  sum[FlopPart::activations] = n * (gate * activation_rows(f) + 2 * output_gates(a));
  if (layer.scaled_residual) sum[FlopPart::residual] = n * 4 * H;
  add_core_backward(a, visible_sum(query.context, a.window, a.chunk), n, sum);
  double rotation = query_rotation(a) + key_rotation(a);
  if (after_rope(a)) rotation += 2 * output_rotation(a);  // the gradient, and the output it is compared with
  sum[FlopPart::rotation] = n * rotation;
  // Gradients of the rotary key that MLA's heads share are summed over them.
  if (latent(a) && a.owns_cache) sum[FlopPart::rotation] += n * real(a.n_heads * a.rope_dim);
  if (reuses_key(a)) sum[FlopPart::value_map] = n * reuse_backward(a);
  return sum;
}

}  // namespace mfa
