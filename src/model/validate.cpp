// What a config may be. Everything from a file or a person passes here before anything is allocated.
#include "base/error.h"
#include "model/model_config.h"

namespace mfa {
namespace {

void check_range(std::string_view where, std::string_view field, int64_t value, int64_t low, int64_t high) {
  if (value < low || value > high)
    bad_input("[config] {}{}, got {}, expected {} to {}", where, field, value, low, high);
}

void check_rope(std::string_view where, const AttentionSpec& spec) {
  const RopeSpec& rope = spec.rope;
  if (spec.rotary_dim() % 2 != 0)
    bad_input("[config] {}RoPE pairs dims, got {} dims to rotate, expected an even number", where, spec.rotary_dim());
  if (!(rope.theta > 0)) bad_input("[config] {}rope_theta, got {}, expected a positive number", where, rope.theta);
  if (!(rope.factor > 0)) bad_input("[config] {}rope factor, got {}, expected a positive number", where, rope.factor);
  if (!rope.frequencies.empty() && static_cast<int64_t>(rope.frequencies.size()) != spec.rotary_dim() / 2)
    bad_input("[config] {}rope frequencies, got {}, expected {} (one a rotated pair)", where, rope.frequencies.size(),
              spec.rotary_dim() / 2);
  const bool scaled_rotation =
      rope.scaling == RopeScaling::yarn || (rope.attention_factor > 0 && rope.attention_factor != 1);
  if (scaled_rotation && spec.value_source == ValueSource::key && spec.reuse_at == ReuseAt::after_rope)
    bad_input("[config] {}values after RoPE are rotated back, which a scaled rotation (YaRN) does not allow", where);
  if ((rope.scaling == RopeScaling::yarn || rope.scaling == RopeScaling::llama3) && rope.original_context <= 0)
    bad_input("[config] {}yarn and llama3 scaling need the original context, got {}", where, rope.original_context);
}

void check_attention(std::string_view where, const AttentionSpec& spec, int64_t width) {
  constexpr int64_t kMost = 1 << 20;
  check_range(where, "n_heads", spec.n_heads, 1, kMost);
  check_range(where, "kv_heads", spec.kv_heads, 1, kMost);
  check_range(where, "head_dim", spec.head_dim, 1, kMost);
  check_range(where, "value_dim", spec.value_dim, 1, kMost);
  check_range(where, "q_rank", spec.q_rank, 0, kMost);
  if (spec.n_heads % spec.kv_heads != 0)
    bad_input("[config] {}heads must be a multiple of the KV heads, got {} heads and {} KV heads", where, spec.n_heads,
              spec.kv_heads);
  if (spec.q_norm && spec.q_rank == 0)
    bad_input("[config] {}a query latent norm needs a query rank, got q_rank 0", where);
  const bool latent = spec.key_source == KeySource::latent;
  if (latent != (spec.value_source == ValueSource::latent))
    bad_input("[config] {}keys and values come from the latent together, or neither does", where);
  if (latent) {
    check_range(where, "kv_rank", spec.kv_rank, 1, kMost);
    check_range(where, "rope_dim", spec.rope_dim, 0, kMost);
    if (spec.qk_norm || spec.qkv_bias) bad_input("[config] {}MLA has no q/k norms and no q, k, v biases", where);
    if (spec.kv_heads != spec.n_heads)
      bad_input("[config] {}MLA expands to one key a head, got {} KV heads for {} heads", where, spec.kv_heads,
                spec.n_heads);
    if (spec.position != PositionKind::rope && spec.rope_dim != 0)
      bad_input("[config] {}MLA without RoPE has no rotary dims, got rope_dim {}", where, spec.rope_dim);
  }
  if (spec.key_source == KeySource::input &&
      (spec.head_dim != width || spec.kv_heads != 1 || spec.qk_norm || spec.qkv_bias))
    bad_input("[config] {}FPBA's keys are the {} inputs themselves, got head_dim {} and {} KV heads", where, width,
              spec.head_dim, spec.kv_heads);
  if (spec.key_source == KeySource::input && spec.value_source != ValueSource::key)
    bad_input("[config] {}FPBA's values are its keys", where);
  if (spec.key_source == KeySource::input && spec.reuse_at == ReuseAt::after_rope)
    bad_input("[config] {}FPBA's values are its inputs before RoPE, got values after RoPE", where);
  if (spec.value_source == ValueSource::key && spec.value_dim != spec.head_dim)
    bad_input("[config] {}a reused key has the value's size, got head_dim {} and value_dim {}", where, spec.head_dim,
              spec.value_dim);
  if (spec.value_source == ValueSource::key && spec.reuse != KeyReuse::identity && spec.kv_heads != 1)
    bad_input("[config] {}a value map belongs to one shared KV head, got {} KV heads", where, spec.kv_heads);
  if (spec.q_rank > 0 && spec.qkv_bias) bad_input("[config] {}a low-rank query has no bias", where);
  check_rope(where, spec);
}

void check_owner(const ModelConfig& config, int64_t i) {
  const int64_t owner = config.layers[i].cache_owner;
  if (owner < 0) return;
  if (owner >= i || !config.owns_cache(owner))
    bad_input("[config] layer {} reads the cache of layer {}, expected a lower layer that owns its cache", i, owner);
  const AttentionSpec &a = config.layers[i].attention, &b = config.layers[owner].attention;
  const bool alike = a.head_dim == b.head_dim && a.value_dim == b.value_dim && a.kv_heads == b.kv_heads &&
                     a.key_source == b.key_source && a.value_source == b.value_source && a.reuse == b.reuse &&
                     a.reuse_at == b.reuse_at && a.kv_rank == b.kv_rank && a.rope_dim == b.rope_dim &&
                     a.position == b.position && a.rope == b.rope;
  if (!alike) bad_input("[config] layers {} and {} share a cache but differ in what it holds", i, owner);
}

}  // namespace

void validate(const ModelConfig& config) {
  check_range("", "width", config.width, 1, 1 << 20);
  check_range("", "vocab", config.vocab, 2, 1 << 26);
  check_range("", "context", config.context, 1, 1 << 26);
  check_range("", "layers", config.n_layers(), 1, 100000);
  if (!(config.norm_eps > 0 && config.norm_eps < 1))
    bad_input("[config] norm_eps, got {}, expected 0 to 1", config.norm_eps);
  double total = static_cast<double>(config.vocab) * static_cast<double>(config.width);
  for (int64_t i = 0; i < config.n_layers(); ++i) {
    const LayerSpec& layer = config.layers[i];
    const std::string where = fmt::format("layer {}: ", i);
    check_range(where, "ffn", layer.ffn, 1, 1 << 24);
    check_range(where, "window", layer.window, 0, INT64_MAX);
    check_attention(where, layer.attention, config.width);
    check_owner(config, i);
    const AttentionSpec& a = layer.attention;
    const auto heads = static_cast<double>(a.n_heads), width = static_cast<double>(config.width);
    const double q_in = a.q_rank > 0 ? static_cast<double>(a.q_rank) : width;
    total += static_cast<double>(a.kv_rank) * (width + heads * static_cast<double>(a.head_dim + a.value_dim));
    total += q_in * width + static_cast<double>(a.kv_heads * (a.head_dim + a.value_dim)) * width;
    total += heads * static_cast<double>(a.key_dim()) * q_in + heads * static_cast<double>(a.value_dim) * width +
             3 * width * static_cast<double>(layer.ffn);
  }
  if (total > 0x1p40) bad_input("[config] the model would have {:.3g} parameters, expected at most 2^40", total);
}

}  // namespace mfa
