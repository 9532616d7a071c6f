#include "capacity/report_convention.h"

namespace mfa {
namespace {

double real(int64_t n) { return static_cast<double>(n); }

void add_layer(const CostLayer& layer, int64_t width, int64_t context, DecodeWork& work) {
  const CostAttention& a = layer.attention;
  const CostFfn& f = layer.ffn;
  visit_attention_tensors(a, width, [&](const char*, int64_t rows, int64_t cols, TensorRole role) {
    if (role == TensorRole::matrix || role == TensorRole::latent_up) work.linear_flops += 2 * real(rows * cols);
  });
  work.ffn_flops += 6 * real(width) * real(f.width + f.shared_width + f.top_k * f.expert_width);
  if (a.linear) {
    const double state = real(a.n_heads * a.head_dim * a.value_dim);
    work.core_flops += 10 * state;
    work.kv_bytes += 8 * state;
    return;
  }
  const double seen = real(visible_last(context, a.window, a.chunk));
  const bool latent = a.key_source == KeySource::latent;
  const double dims = real(latent ? 2 * (a.kv_rank + a.rope_dim) : a.key_dim() + a.value_dim);
  work.core_flops += 2 * real(a.n_heads) * dims * seen;
  work.kv_bytes += real(cache_numbers(a) * a.report_kv_bytes) * seen;
}

}  // namespace

DecodeWork report_work(const CostModel& model, int64_t context) {
  DecodeWork work;
  for (const CostLayer& layer : model.layers) add_layer(layer, model.width, context, work);
  return work;
}

double report_train_flops(const DecodeWork& work) { return 3 * (work.core_flops + work.linear_flops + work.ffn_flops); }

}  // namespace mfa
