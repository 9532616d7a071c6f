#include "runtime/inference_layer.h"

#include "model/fold.h"
#include "model/position.h"

namespace mfa {
namespace {

std::unique_ptr<PackedWeight> pack(Device& device, Tensor w, DType storage) { return device.pack_weight(w, storage); }

// A host matrix as a packed weight.
std::unique_ptr<PackedWeight> pack_host(Device& device, const std::vector<double>& values, int64_t rows, int64_t cols,
                                        DType storage) {
  const DeviceMemory memory(device, values.size() * size_of(device.real()));
  const Tensor w{memory.data(), device.real(), rows, cols, cols};
  upload_numbers(device, w, values);
  return device.pack_weight(w, storage);
}

// O_c' = O_c A for every head's block of columns: MFA-KR's value map costs nothing at run time.
std::vector<double> fold_output(const ModelConfig& config, const ParameterStore& weights, int64_t layer,
                                const std::string& name) {
  const AttentionSpec& a = config.layers[layer].attention;
  const std::vector<double> o = weights.download_f64(weights.spec(name)), A = value_matrix(config, weights, layer);
  const int64_t C = a.head_dim, cols = a.n_heads * C;
  std::vector<double> folded(o.size(), 0.0);
  for (int64_t row = 0; row < config.width; ++row)
    for (int64_t h = 0; h < a.n_heads; ++h)
      for (int64_t i = 0; i < C; ++i) {
        const double x = o[row * cols + h * C + i];
        for (int64_t j = 0; j < C; ++j) folded[row * cols + h * C + j] += x * A[i * C + j];
      }
  return folded;
}

}  // namespace

PackedVectors::PackedVectors(Device& device, const ParameterStore& weights) {
  int64_t numbers = 0;
  for (const ParameterSpec& spec : weights.table())
    if (spec.vector) numbers += (spec.cols + 15) / 16 * 16;
  memory_ = DeviceMemory(device, static_cast<size_t>(numbers) * size_of(device.real()));
  std::byte* next = memory_.data();
  for (const ParameterSpec& spec : weights.table()) {
    if (!spec.vector) continue;
    const Tensor vector{next, device.real(), 1, spec.cols, spec.cols};
    device.convert(vector, weights.view(spec));
    vectors_[spec.name] = vector;
    next += (spec.cols + 15) / 16 * 16 * static_cast<int64_t>(size_of(device.real()));
  }
}

InferenceLayer::InferenceLayer(Device& device, const ModelConfig& config, int64_t layer, const ParameterStore& weights,
                               const PackedVectors& vectors, RotaryTable rotary, DType storage)
    : device_(&device), config_(&config), spec_(&config.layers[layer].attention), layer_(layer), rotary_(rotary) {
  const std::string prefix = "model.layers." + std::to_string(layer) + ".";
  const std::string attn = prefix + "self_attn.", mlp = prefix + "mlp.";
  find_vectors(vectors, prefix);
  const bool owns = config.owns_cache(layer);
  const std::string first = attn + (latent() && spec_->q_rank > 0 ? "q_a_proj.weight" : "q_proj.weight");
  std::string last = first;
  if (owns && latent()) last = attn + "kv_a_proj_with_mqa.weight";
  if (owns && spec_->key_source == KeySource::projection)
    last = attn + (spec_->value_source == ValueSource::projection ? "v_proj.weight" : "k_proj.weight");
  down_ = pack(device, weights.span(first, last), storage);
  if (spec_->q_rank > 0) q_up_ = pack(device, weights[attn + (latent() ? "q_b_proj.weight" : "wq.weight")], storage);
  if (latent()) {
    const std::string owner =
        "model.layers." + std::to_string(config.cache_layer(layer)) + ".self_attn.kv_b_proj.weight";
    const Tensor up = weights[owner];
    const std::vector<double> host = weights.download_f64(weights.spec(owner));
    const int64_t d = spec_->head_dim, v = spec_->value_dim, rank = spec_->kv_rank;
    for (int64_t h = 0; h < spec_->n_heads; ++h) {
      std::vector<double> transposed(static_cast<size_t>(rank * d));
      for (int64_t i = 0; i < d; ++i)
        for (int64_t j = 0; j < rank; ++j) transposed[j * d + i] = host[(h * (d + v) + i) * rank + j];
      absorb_.push_back(pack_host(device, transposed, rank, d, storage));
      expand_.push_back(pack(device, up.slice_rows(h * (d + v) + d, v), storage));
    }
  }
  const std::string o = attn + "o_proj.weight";
  if (spec_->value_source == ValueSource::key && spec_->reuse != KeyReuse::identity)
    out_ = pack_host(device, fold_output(config, weights, layer, o), config.width, spec_->n_heads * spec_->value_dim,
                     storage);
  else
    out_ = pack(device, weights[o], storage);
  gate_up_ = pack(device, weights.span(mlp + "gate_proj.weight", mlp + "up_proj.weight"), storage);
  ffn_down_ = pack(device, weights[mlp + "down_proj.weight"], storage);
  if (spec_->position == PositionKind::alibi) {
    alibi_memory_ = DeviceMemory(device, static_cast<size_t>(spec_->n_heads) * size_of(device.real()));
    alibi_ = {alibi_memory_.data(), device.real(), 1, spec_->n_heads, spec_->n_heads};
    upload_numbers(device, alibi_, alibi_slopes(spec_->n_heads));
  }
}

void InferenceLayer::find_vectors(const PackedVectors& vectors, const std::string& prefix) {
  const auto find_norm = [&](const std::string& name) {
    return Norm{vectors.find(prefix + name + ".weight"), vectors.find(prefix + name + ".bias")};
  };
  input_norm_ = find_norm("input_layernorm");
  ffn_norm_ = find_norm("post_attention_layernorm");
  query_latent_norm_ = find_norm(latent() ? "self_attn.q_a_layernorm" : "self_attn.inter_norm");
  cached_latent_norm_ = find_norm("self_attn.kv_a_layernorm");
  query_norm_ = find_norm("self_attn.q_norm");
  key_norm_ = find_norm("self_attn.k_norm");
  query_bias_ = vectors.find(prefix + "self_attn.q_proj.bias");
  key_bias_ = vectors.find(prefix + "self_attn.k_proj.bias");
  value_bias_ = vectors.find(prefix + "self_attn.v_proj.bias");
  output_bias_ = vectors.find(prefix + "self_attn.o_proj.bias");
  gate_bias_ = vectors.find(prefix + "mlp.gate_proj.bias");
  up_bias_ = vectors.find(prefix + "mlp.up_proj.bias");
  down_bias_ = vectors.find(prefix + "mlp.down_proj.bias");
}

size_t InferenceLayer::weight_bytes() const {
  size_t total = 0;
  for (const auto* w : {&down_, &q_up_, &out_, &gate_up_, &ffn_down_})
    if (*w) total += (*w)->bytes();
  for (const auto* list : {&absorb_, &expand_})
    for (const auto& w : *list) total += w->bytes();
  return total;
}

int64_t InferenceLayer::query_cols() const {
  return spec_->q_rank > 0 ? spec_->q_rank : spec_->n_heads * spec_->key_dim();
}

InferenceLayer::Sizes InferenceLayer::sizes() const {
  const int64_t heads = spec_->n_heads, cached = spec_->kv_rank + spec_->rope_dim;
  const int64_t ffn = config_->layers[layer_].ffn;
  return {.down = down_->out,
          .q_latent = spec_->q_rank,
          .q = heads * spec_->key_dim(),
          .q_absorbed = latent() ? heads * cached : 0,
          .k = spec_->qk_norm ? spec_->kv_heads * spec_->head_dim : 0,
          .cached = latent() ? cached : 0,
          .out = heads * (latent() ? spec_->kv_rank : spec_->value_dim),
          .expanded = latent() ? heads * spec_->value_dim : 0,
          .gate_up = 2 * ffn,
          .act = ffn,
          .statistics = 2 * std::max(spec_->n_heads, spec_->kv_heads)};
}

void InferenceLayer::norm(const Norm& norm, bool layer_norm, Tensor x, Tensor y, Tensor statistics) const {
  const int64_t numbers = x.cols / norm.weight.cols * (layer_norm ? 2 : 1);
  device_->norm_forward({.kind = layer_norm ? NormKind::layer : NormKind::rms,
                         .x = x,
                         .weight = norm.weight,
                         .bias = norm.bias,
                         .y = y,
                         .statistics = statistics.slice_rows(0, x.rows).slice_cols(0, numbers),
                         .eps = config_->norm_eps});
}

void InferenceLayer::rotate(InferenceScratch& s, Tensor x, int64_t heads, int64_t head_dim, int64_t offset,
                            bool inverse) const {
  if (!rotary_.cos) return;
  device_->rope({.x = x,
                 .positions = s.positions.slice_cols(0, s.rows),
                 .cos = rotary_.cos,
                 .sin = rotary_.sin,
                 .n_heads = heads,
                 .head_dim = head_dim,
                 .offset = offset,
                 .inverse = inverse});
}

void InferenceLayer::add_bias(Tensor bias, Tensor y) const {
  if (bias) device_->add_bias(y, bias);
}

bool InferenceLayer::rotate_on_read() const {
  return spec_->value_source == ValueSource::key && spec_->reuse_at == ReuseAt::before_rope && rotary_.cos;
}

Tensor InferenceLayer::queries(InferenceScratch& s, Tensor p) const {
  Tensor q = p;
  if (spec_->q_norm) {
    norm(query_latent_norm_, false, p, s.q_latent.slice_rows(0, s.rows).slice_cols(0, spec_->q_rank), s.statistics);
    q = s.q_latent.slice_rows(0, s.rows).slice_cols(0, spec_->q_rank);
  }
  const Tensor up = s.q.slice_rows(0, s.rows).slice_cols(0, spec_->n_heads * spec_->key_dim());
  if (spec_->q_rank > 0) {
    device_->linear(q, *q_up_, up);
    q = up;
  }
  if (spec_->qk_norm) {
    norm(query_norm_, false, q, up, s.statistics);
    q = up;
  }
  rotate(s, q, spec_->n_heads, spec_->key_dim(), spec_->key_dim() - spec_->rotary_dim(), false);
  return latent() ? absorb(s, q) : q;
}

// q_h K_h: the query in the latent's own space, beside its rotary part, so that it compares with the cached vector.
Tensor InferenceLayer::absorb(InferenceScratch& s, Tensor q) const {
  const int64_t width = spec_->kv_rank + spec_->rope_dim, heads = spec_->n_heads;
  const Tensor absorbed = s.q_absorbed.slice_rows(0, s.rows).slice_cols(0, heads * width);
  for (int64_t h = 0; h < heads; ++h)
    device_->linear(q.slice_cols(h * spec_->key_dim(), spec_->head_dim), *absorb_[h],
                    absorbed.slice_cols(h * width, spec_->kv_rank));
  if (spec_->rope_dim > 0)
    device_->copy_heads({.src = q,
                         .dst = absorbed,
                         .n_heads = heads,
                         .dim = spec_->rope_dim,
                         .src_head_dim = spec_->key_dim(),
                         .src_offset = spec_->head_dim,
                         .dst_head_dim = width,
                         .dst_offset = spec_->kv_rank});
  return absorbed;
}

void InferenceLayer::append_latent(InferenceScratch& s, KvCache& cache, Tensor p) const {
  const int64_t rank = spec_->kv_rank, rope = spec_->rope_dim;
  const Tensor cached = s.cached.slice_rows(0, s.rows).slice_cols(0, rank + rope);
  norm(cached_latent_norm_, false, p.slice_cols(0, rank), cached.slice_cols(0, rank), s.statistics);
  if (rope > 0) {
    device_->convert(cached.slice_cols(rank, rope), p.slice_cols(rank, rope));
    rotate(s, cached.slice_cols(rank, rope), 1, rope, 0, false);
  }
  device_->kv_append(cache.pool(layer_), cached, {}, s.slots);
}

void InferenceLayer::append(InferenceScratch& s, KvCache& cache, Tensor p) const {
  if (latent()) return append_latent(s, cache, p);
  if (spec_->key_source == KeySource::input)
    return device_->kv_append(cache.pool(layer_), s.normed.slice_rows(0, s.rows), {}, s.slots);
  const int64_t key_cols = spec_->kv_heads * spec_->head_dim;
  Tensor k = p.slice_cols(0, key_cols);
  if (spec_->qk_norm) {
    norm(key_norm_, false, k, s.k.slice_rows(0, s.rows).slice_cols(0, key_cols), s.statistics);
    k = s.k.slice_rows(0, s.rows).slice_cols(0, key_cols);
  }
  if (!rotate_on_read()) rotate(s, k, spec_->kv_heads, spec_->head_dim, 0, false);
  const Tensor v =
      spec_->value_source == ValueSource::projection ? p.slice_cols(key_cols, p.cols - key_cols) : Tensor{};
  device_->kv_append(cache.pool(layer_), k, v, s.slots);
}

// What o_proj reads: rotated back for values after RoPE, expanded from the latent for MLA.
Tensor InferenceLayer::head_outputs(InferenceScratch& s, Tensor out) const {
  if (spec_->value_source == ValueSource::key && spec_->reuse_at == ReuseAt::after_rope)
    rotate(s, out, spec_->n_heads, spec_->value_dim, 0, true);
  if (!latent()) return out;
  const Tensor expanded = s.expanded.slice_rows(0, s.rows).slice_cols(0, spec_->n_heads * spec_->value_dim);
  for (int64_t h = 0; h < spec_->n_heads; ++h)
    device_->linear(out.slice_cols(h * spec_->kv_rank, spec_->kv_rank), *expand_[h],
                    expanded.slice_cols(h * spec_->value_dim, spec_->value_dim));
  return expanded;
}

void InferenceLayer::attention(InferenceScratch& s, KvCache& cache) const {
  const Tensor h = s.h.slice_rows(0, s.rows), normed = s.normed.slice_rows(0, s.rows);
  const Tensor p = s.down.slice_rows(0, s.rows).slice_cols(0, down_->out);
  device_->linear(normed, *down_, p);
  const int64_t q_cols = query_cols();
  if (spec_->qkv_bias) {
    add_bias(query_bias_, p.slice_cols(0, q_cols));
    if (config_->owns_cache(layer_) && spec_->key_source == KeySource::projection) {
      const int64_t key_cols = spec_->kv_heads * spec_->head_dim;
      add_bias(key_bias_, p.slice_cols(q_cols, key_cols));
      if (spec_->value_source == ValueSource::projection)
        add_bias(value_bias_, p.slice_cols(q_cols + key_cols, p.cols - q_cols - key_cols));
    }
  }
  if (config_->owns_cache(layer_)) append(s, cache, p.slice_cols(q_cols, p.cols - q_cols));
  const Tensor q = queries(s, p.slice_cols(0, q_cols));
  const Tensor out =
      s.out.slice_rows(0, s.rows).slice_cols(0, spec_->n_heads * (latent() ? spec_->kv_rank : spec_->value_dim));
  PagedAttentionArgs args{.pool = &cache.pool(layer_),
                          .q = q,
                          .out = out,
                          .n_heads = spec_->n_heads,
                          .window = config_->layers[layer_].window,
                          .scale = softmax_scale(*spec_),
                          .alibi_slopes = alibi_,
                          .key_cos = {},
                          .key_sin = {},
                          .sequences = s.sequences};
  if (rotate_on_read()) {
    args.key_cos = rotary_.cos;
    args.key_sin = rotary_.sin;
  }
  device_->attention_paged(args);
  device_->linear(head_outputs(s, out), *out_, normed);
  add_bias(output_bias_, normed);
  device_->add(h, normed);
}

void InferenceLayer::forward(InferenceScratch& s, KvCache& cache) const {
  const bool layer_norm = config_->norm == ModelNorm::layer;
  const Tensor h = s.h.slice_rows(0, s.rows), normed = s.normed.slice_rows(0, s.rows);
  norm(input_norm_, layer_norm, h, normed, s.statistics);
  attention(s, cache);
  norm(ffn_norm_, layer_norm, h, normed, s.statistics);
  const int64_t ffn = config_->layers[layer_].ffn;
  const Tensor gate_up = s.gate_up.slice_rows(0, s.rows).slice_cols(0, 2 * ffn),
               act = s.act.slice_rows(0, s.rows).slice_cols(0, ffn);
  device_->linear(normed, *gate_up_, gate_up);
  add_bias(gate_bias_, gate_up.slice_cols(0, ffn));
  add_bias(up_bias_, gate_up.slice_cols(ffn, ffn));
  device_->swiglu_forward(gate_up.slice_cols(0, ffn), gate_up.slice_cols(ffn, ffn), act);
  device_->linear(act, *ffn_down_, normed);
  add_bias(down_bias_, normed);
  device_->add(h, normed);
}

}  // namespace mfa
