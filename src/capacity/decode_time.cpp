#include "capacity/decode_time.h"

#include <algorithm>
#include <limits>

#include "capacity/layer_cost.h"
#include "kernels/paged_schedule.h"

namespace mfa {
namespace {

// --- from measured operations -------------------------------------------------------------------------------------

double product_seconds(const ProductRates& rates, int64_t numbers, int64_t rows) {
  const double one = rates.by_numbers.at(static_cast<double>(numbers));
  return rows == 1 ? one : one * rates.by_rows.at(static_cast<double>(rows)) / rates.by_rows.at(1);
}

// The measured rates of that type; the machine has measured them all.
const ProductRates& rates_of(const DecodeRates& rates, DType weights) {
  const auto found = std::find_if(rates.products.begin(), rates.products.end(),
                                  [&](const ProductRates& r) { return r.weights == weights; });
  return found != rates.products.end() ? *found : rates.products.front();
}

struct CacheShape {
  CacheKind kind = CacheKind::apart;
  int64_t kv_heads = 1;
  double key_dim = 0, value_dim = 0;
  double mean_dim() const { return (key_dim + value_dim) / 2; }
};

CacheShape cache_shape(const CostAttention& a) {
  CacheShape shape{CacheKind::apart, a.kv_heads, static_cast<double>(a.head_dim), static_cast<double>(a.value_dim)};
  if (a.key_source == KeySource::latent)
    return {CacheKind::shared, 1, static_cast<double>(a.kv_rank + a.rope_dim), static_cast<double>(a.kv_rank)};
  if (a.value_source == ValueSource::key)
    shape.kind = a.rotary_dim > 0 && a.reuse_at == ReuseAt::before_rope ? CacheKind::rotated : CacheKind::shared;
  return shape;
}

// Seconds that a thread takes for one cached token of one KV head. `share` of the other threads work meanwhile.
double token_seconds(const DecodeRates& rates, DType kv, const CacheShape& shape, int64_t rows, double share) {
  const AttentionRates *below = nullptr, *above = nullptr;
  for (const AttentionRates& r : rates.attention) {
    if (r.kv != kv || r.kind != shape.kind) continue;
    if (below == nullptr || r.dim < below->dim) below = &r;
    if (above == nullptr || r.dim > above->dim) above = &r;
  }
  if (below == nullptr) return 0;
  const auto at = [&](const AttentionRates& r) {
    const double alone = r.alone.at(static_cast<double>(rows)), together = r.together.at(static_cast<double>(rows));
    return alone + (together - alone) * share;
  };
  const auto low = static_cast<double>(below->dim), high = static_cast<double>(above->dim), dim = shape.mean_dim();
  if (high == low) return at(*below) * dim / low;
  // Never less than a narrow head's time cut down to its dims.
  return std::max(at(*below) + (at(*above) - at(*below)) * (dim - low) / (high - low),
                  at(*below) * std::min(1.0, dim / low) / 2);
}

double attention_seconds(const DecodeRates& rates, const CostAttention& a, int64_t seen, const DecodeRun& work) {
  const CacheShape shape = cache_shape(a);
  const int64_t group = a.n_heads / shape.kv_heads, per_head = (group + kMostPagedRows - 1) / kMostPagedRows;
  const int64_t blocks = work.batch * shape.kv_heads * per_head;
  const int64_t busiest = busiest_thread_tokens(blocks, seen, paged_split_tokens(kCachePageTokens), rates.threads);
  const double busy = static_cast<double>(blocks * seen) / static_cast<double>(busiest);  // threads, on average
  const double share = rates.threads > 1 ? (busy - 1) / static_cast<double>(rates.threads - 1) : 1;
  return static_cast<double>(busiest) * token_seconds(rates, work.kv, shape, (group + per_head - 1) / per_head, share);
}

// --- from bandwidth and FLOPs -------------------------------------------------------------------------------------

double bytes_of(DType type) { return static_cast<double>(size_of(type)); }

double roofline(const Hardware& hardware, double bytes, double flops, int64_t bits) {
  const double peak = hardware.flops(bits);
  return std::max(bytes / hardware.bytes_per_s, peak > 0 ? flops / peak : 0);
}

// --- both ---------------------------------------------------------------------------------------------------------

struct Clock {
  const DecodeRun& work;
  const Hardware& hardware;
  DecodeTime time;

  bool measured() const { return hardware.decode.threads > 0; }
  void product(int64_t out, int64_t in, int64_t times = 1) {
    if (out == 0 || in == 0) return;
    const double numbers = static_cast<double>(out) * static_cast<double>(in);
    const double one =
        measured() ? product_seconds(rates_of(hardware.decode, work.weights), out * in, work.batch)
                   : roofline(hardware, numbers * bytes_of(work.weights), 2 * numbers * static_cast<double>(work.batch),
                              static_cast<int64_t>(8 * bytes_of(work.weights)));
    time.products += static_cast<double>(times) * one;
  }
  void attention(const CostAttention& a, int64_t seen) {
    if (measured()) {
      time.attention += attention_seconds(hardware.decode, a, seen, work);
      return;
    }
    const CacheShape shape = cache_shape(a);
    const auto tokens = static_cast<double>(work.batch * seen);
    const double bytes = static_cast<double>(cache_numbers(a)) * bytes_of(work.kv) +
                         (work.kv == DType::i8 ? static_cast<double>(cache_scales(a)) * bytes_of(DType::bf16) : 0);
    time.attention += roofline(hardware, tokens * bytes, 4 * tokens * static_cast<double>(a.n_heads) * shape.mean_dim(),
                               static_cast<int64_t>(8 * bytes_of(work.kv)));
  }
  // One operation on each row of the batch.
  void vector(const RateCurve& curve, int64_t numbers) {
    if (numbers > 0) time.vectors += curve.at(static_cast<double>(numbers * work.batch));
  }
};

}  // namespace

DecodeTime& DecodeTime::operator+=(const DecodeTime& other) {
  products += other.products;
  attention += other.attention;
  vectors += other.vectors;
  return *this;
}

DecodeTime layer_decode_time(const CostLayer& layer, int64_t width, const DecodeRun& work, const Hardware& hardware) {
  const CostAttention& a = layer.attention;
  const int64_t ffn = layer.ffn.width;
  const bool latent = a.key_source == KeySource::latent, owns = a.owns_cache;
  const int64_t queries = a.n_heads * a.key_dim();
  int64_t cached = 0;  // numbers that come from products with the layer's input
  if (owns && a.key_source != KeySource::input) cached = cache_numbers(a);
  Clock clock{work, hardware, {}};
  // The products of one token, as the engine makes them (runtime/inference_layer.cpp).
  clock.product((a.q_rank > 0 ? a.q_rank : queries) + cached, width);
  if (a.q_rank > 0) clock.product(queries, a.q_rank);
  if (latent) {
    clock.product(a.kv_rank, a.head_dim, a.n_heads);
    clock.product(a.value_dim, a.kv_rank, a.n_heads);
  }
  clock.product(width, a.n_heads * a.value_dim);
  clock.product(2 * ffn, width);
  clock.product(width, ffn);
  clock.attention(a, a.window > 0 ? std::min(a.window, work.context) : work.context);
  const VectorRates& v = hardware.decode.vectors;
  for (int i = 0; i < 2; ++i) {
    clock.vector(v.norm, width);
    clock.vector(v.add, width);
  }
  if (a.q_norm) clock.vector(v.norm, a.q_rank);
  if (a.qk_norm) clock.vector(v.norm, (a.n_heads + a.kv_heads) * a.head_dim);
  clock.vector(v.rope, a.n_heads * a.rotary_dim);
  if (owns && cache_shape(a).kind == CacheKind::apart) clock.vector(v.rope, a.kv_heads * a.rotary_dim);
  if (owns) clock.vector(v.append, cache_numbers(a) / 2);
  clock.vector(v.swiglu, ffn);
  return clock.time;
}

DecodeTime output_decode_time(int64_t width, int64_t vocab, const DecodeRun& work, const Hardware& hardware) {
  Clock clock{work, hardware, {}};
  // Each sequence's logits are a product of their own: the engine finishes piece by piece.
  const DecodeRun one{work.context, 1, work.weights, work.kv};
  Clock single{one, hardware, {}};
  single.product(vocab, width, work.batch);
  clock.vector(hardware.decode.vectors.norm, width);
  clock.time += single.time;
  return clock.time;
}

DecodeTime decode_time(const CostModel& model, const DecodeRun& work, const Hardware& hardware) {
  DecodeTime time = output_decode_time(model.width, model.vocab, work, hardware);
  for (const CostLayer& layer : model.layers) time += layer_decode_time(layer, model.width, work, hardware);
  return time;
}

DecodeTime decode_time(const ModelConfig& config, const DecodeRun& work, const Hardware& hardware) {
  return decode_time(cost_model(config), work, hardware);
}

}  // namespace mfa
