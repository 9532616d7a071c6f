#include "model/fold.h"

#include "base/error.h"
#include "base/thread_team.h"

namespace mfa {
namespace {

std::string prefix_of(int64_t layer) { return "model.layers." + std::to_string(layer) + ".self_attn."; }

// a [m, k] · b [k, n], in double. Rows are independent.
std::vector<float> product(const std::vector<double>& a, const std::vector<double>& b, int64_t m, int64_t k,
                           int64_t n) {
  std::vector<float> c(static_cast<size_t>(m * n));
  parallel_for(m, [&](int64_t begin, int64_t end) {
    std::vector<double> row(static_cast<size_t>(n));
    for (int64_t i = begin; i < end; ++i) {
      row.assign(row.size(), 0.0);
      for (int64_t p = 0; p < k; ++p)
        for (int64_t j = 0; j < n; ++j) row[j] += a[i * k + p] * b[p * n + j];
      for (int64_t j = 0; j < n; ++j) c[i * n + j] = static_cast<float>(row[j]);
    }
  });
  return c;
}

std::string reason_against(const ModelConfig& config) {
  for (int64_t i = 0; i < config.n_layers(); ++i) {
    const AttentionSpec& a = config.layers[i].attention;
    if (a.key_source != KeySource::projection) return "its keys are not a projection of the input (" + a.preset + ")";
    if (a.q_norm) return "its query has a norm between S_q and Q_c";
    if (a.value_source == ValueSource::key && a.position == PositionKind::rope && a.reuse_at == ReuseAt::after_rope)
      return "its values are taken after RoPE";
    if (!config.owns_cache(i)) return "layers share a cache";
    if (a.qk_norm && a.value_source == ValueSource::key) return "its values come from normed keys";
  }
  return {};
}

}  // namespace

bool can_fold(const ModelConfig& config) {
  if (!reason_against(config).empty()) return false;
  for (const LayerSpec& layer : config.layers)
    if (layer.attention.q_rank > 0 || layer.attention.value_source == ValueSource::key) return true;
  return false;
}

std::vector<double> value_matrix(const ModelConfig& config, const ParameterStore& store, int64_t layer) {
  const int64_t owner = config.cache_layer(layer);
  const AttentionSpec& a = config.layers[owner].attention;
  const int64_t C = a.head_dim;
  std::vector<double> matrix(static_cast<size_t>(C * C), 0.0);
  if (a.reuse != KeyReuse::identity) {
    matrix = store.download_f64(store.spec(prefix_of(owner) + "value_mix.weight"));
    if (a.reuse == KeyReuse::gated) {
      const std::vector<double> alpha = store.download_f64(store.spec(prefix_of(owner) + "value_gate"));
      for (int64_t i = 0; i < C; ++i)
        for (int64_t j = 0; j < C; ++j) matrix[i * C + j] *= alpha[i];
    }
  }
  if (a.reuse != KeyReuse::map)
    for (int64_t i = 0; i < C; ++i) matrix[i * C + i] += 1;
  return matrix;
}

FoldedModel fold(const ModelConfig& config, const ParameterStore& store) {
  if (const std::string reason = reason_against(config); !reason.empty())
    bad_input("[fold] this model does not fold into a LLaMA layout: {}", reason);
  FoldedModel folded{config, {}};
  for (LayerSpec& layer : folded.config.layers) {
    AttentionSpec& a = layer.attention;
    a.q_rank = 0;
    a.value_source = ValueSource::projection;
    a.reuse = KeyReuse::gated;
    a.reuse_at = ReuseAt::before_rope;
    a.preset = a.kv_heads == 1 ? "mqa" : "gqa";
  }
  for (const ParameterSpec& spec : parameter_table(folded.config))
    if (store.has(spec.name)) folded.values[spec.name] = store.download(store.spec(spec.name));
  for (int64_t i = 0; i < config.n_layers(); ++i) {
    const AttentionSpec& a = config.layers[i].attention;
    const std::string p = prefix_of(i);
    if (a.q_rank > 0)
      folded.values[p + "q_proj.weight"] =
          product(store.download_f64(store.spec(p + "wq.weight")), store.download_f64(store.spec(p + "q_proj.weight")),
                  a.n_heads * a.head_dim, a.q_rank, config.width);
    if (a.value_source == ValueSource::key)
      folded.values[p + "v_proj.weight"] =
          product(value_matrix(config, store, i), store.download_f64(store.spec(p + "k_proj.weight")), a.head_dim,
                  a.head_dim, config.width);
  }
  return folded;
}

}  // namespace mfa
