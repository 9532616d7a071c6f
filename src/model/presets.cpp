#include "model/presets.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "base/error.h"

namespace mfa {
namespace {

constexpr std::array<std::string_view, 7> kNames = {"mha", "mqa", "gqa", "mla", "mfa", "mfa-kr", "fpba"};

int64_t round_to(double x, int64_t multiple) {
  return std::max<int64_t>(multiple, std::llround(x / static_cast<double>(multiple)) * multiple);
}

bool is_mfa(std::string_view name) { return name == "mfa" || name == "mfa-kr"; }

// Head dim of mha, mqa, gqa, mla: 64; 32 in models so narrow that 64 would leave fewer than four heads; 128 from the
// width of the paper's shapes on, as published models of that size have it.
int64_t default_head_dim(const PresetOptions& o) {
  return o.head_dim > 0 ? o.head_dim : o.width < 256 ? 32 : o.width < 2048 ? 64 : 128;
}
int64_t default_heads(const PresetOptions& o) {
  return o.heads > 0 ? o.heads : std::max<int64_t>(1, o.width / default_head_dim(o));
}
// C = r = width / 8, even so that RoPE can pair the dims.
int64_t default_rank(const PresetOptions& o) { return round_to(static_cast<double>(o.width) / 8, 2); }

// The largest divisor of heads that is ≤ heads / 4, at least 2 (heads itself if it has no such divisor).
int64_t default_kv_heads(int64_t heads) {
  for (int64_t g = heads / 4; g >= 2; --g)
    if (heads % g == 0) return g;
  for (int64_t g = 2; g < heads; ++g)
    if (heads % g == 0) return g;
  return heads;
}

// Heads that give an attention layer the parameters of MHA's 4·H·n·d, rounded to the nearest.
int64_t matching_heads(const PresetOptions& o, double fixed_parameters, double parameters_per_head) {
  const double mha = 4.0 * static_cast<double>(o.width) * static_cast<double>(o.width);
  return std::max<int64_t>(1, std::llround((mha - fixed_parameters) / parameters_per_head));
}

AttentionSpec multi_head(std::string_view name, const PresetOptions& o) {
  AttentionSpec spec;
  spec.n_heads = default_heads(o);
  spec.head_dim = spec.value_dim = default_head_dim(o);
  spec.kv_heads = o.kv_heads > 0  ? o.kv_heads
                  : name == "mha" ? spec.n_heads
                  : name == "mqa" ? 1
                                  : default_kv_heads(spec.n_heads);
  spec.q_rank = o.q_rank;
  spec.q_norm = o.q_norm && o.q_rank > 0;
  return spec;
}

AttentionSpec mla(const PresetOptions& o) {
  AttentionSpec spec;
  const int64_t d = default_head_dim(o);
  spec.head_dim = spec.value_dim = d;
  spec.key_source = KeySource::latent;
  spec.value_source = ValueSource::latent;
  spec.kv_rank = o.kv_rank > 0 ? o.kv_rank : round_to(static_cast<double>(o.width) / 4, 2);
  spec.rope_dim = o.position != PositionKind::rope ? 0
                  : o.rope_dim > 0                 ? o.rope_dim
                                                   : round_to(static_cast<double>(d) / 2, 2);
  spec.q_rank = o.q_rank > 0 ? o.q_rank : spec.kv_rank;
  spec.q_norm = true;
  const auto H = static_cast<double>(o.width), r = static_cast<double>(spec.q_rank),
             C = static_cast<double>(spec.kv_rank);
  const auto dim = static_cast<double>(d), rotary = static_cast<double>(spec.rope_dim);
  spec.n_heads =
      o.heads > 0 ? o.heads : matching_heads(o, r * H + H * (C + rotary), r * (dim + rotary) + 2 * C * dim + dim * H);
  spec.kv_heads = spec.n_heads;  // once expanded, every head has keys and values of its own
  return spec;
}

AttentionSpec multi_matrix(std::string_view name, const PresetOptions& o) {
  AttentionSpec spec;
  const bool reuse = name == "mfa-kr";
  spec.head_dim = spec.value_dim = o.head_dim > 0 ? o.head_dim : default_rank(o);
  spec.q_rank = o.q_rank > 0 ? o.q_rank : spec.head_dim;
  spec.q_norm = o.q_norm;
  spec.kv_heads = o.kv_heads > 0 ? o.kv_heads : 1;
  if (reuse) {
    spec.value_source = ValueSource::key;
    spec.reuse = o.reuse;
    spec.reuse_at = o.reuse_at;
  }
  const auto H = static_cast<double>(o.width), C = static_cast<double>(spec.head_dim),
             r = static_cast<double>(spec.q_rank);
  const double fixed = H * r + H * C + (reuse ? C * C + C : H * C);
  spec.n_heads = o.heads > 0 ? o.heads : matching_heads(o, fixed, r * C + C * H);
  return spec;
}

// The paper's upper bound: head c compares x_i W_c with x_j itself and sums x_j; the key is the value.
AttentionSpec fpba(const PresetOptions& o) {
  AttentionSpec spec;
  spec.n_heads = o.heads > 0 ? o.heads : o.width;
  spec.kv_heads = 1;
  spec.head_dim = spec.value_dim = o.width;
  spec.key_source = KeySource::input;
  spec.value_source = ValueSource::key;
  spec.reuse = KeyReuse::identity;
  return spec;
}

}  // namespace

std::span<const std::string_view> preset_names() { return kNames; }

ModelConfig make_preset(std::string_view name, const PresetOptions& o) {
  if (std::find(kNames.begin(), kNames.end(), name) == kNames.end())
    bad_input("[preset] unknown attention, got {}, expected one of {}", name, fmt::join(kNames, ", "));
  if (o.width < 1 || o.layers < 1 || o.share_cache < 1 || o.layers > 100000)
    bad_input("[preset] sizes must be positive, got width {}, layers {}, share-cache {}", o.width, o.layers,
              o.share_cache);
  LayerSpec layer;
  layer.attention = name == "mla"    ? mla(o)
                    : is_mfa(name)   ? multi_matrix(name, o)
                    : name == "fpba" ? fpba(o)
                                     : multi_head(name, o);
  layer.attention.preset = name;
  layer.attention.position = o.position;
  layer.attention.rope = o.rope;
  layer.attention.qkv_bias = o.qkv_bias;
  layer.attention.o_bias = o.o_bias;
  layer.attention.qk_norm = o.qk_norm;
  layer.ffn = o.ffn > 0 ? o.ffn : default_ffn(o.width);
  layer.window = o.window;

  ModelConfig config;
  config.width = o.width;
  config.vocab = o.vocab;
  config.context = o.context;
  config.norm = o.norm;
  // DeepSeek's published code builds its latent norms with 1e-6 whatever the config says; 1e-6 throughout is the one
  // choice that every engine computes alike.
  if (name == "mla") config.norm_eps = 1e-6;
  config.tied = o.tied;
  config.ffn_bias = o.ffn_bias;
  config.layers.assign(static_cast<size_t>(o.layers), layer);
  for (int64_t i = 0; i < o.layers; ++i)
    if (i % o.share_cache != 0) config.layers[i].cache_owner = i / o.share_cache * o.share_cache;
  validate(config);
  return config;
}

int64_t default_ffn(int64_t width) { return round_to(static_cast<double>(width) * 8 / 3, width < 192 ? 8 : 64); }

ModelConfig match_parameters(std::string_view name, const PresetOptions& options, int64_t parameters) {
  ModelConfig config = make_preset(name, options);
  if (name == "fpba") return config;
  // One more unit of FFN width costs 3·H a layer (and biases); multiples of 8 keep the products' edges whole.
  const int64_t per_unit = config.n_layers() * (3 * config.width + (config.ffn_bias ? 2 : 0));
  const double missing = static_cast<double>(parameters - parameter_count(config)) / static_cast<double>(per_unit);
  for (const int64_t step : {8, 1}) {
    const int64_t ffn = round_to(static_cast<double>(config.layers[0].ffn) + missing, step);
    ModelConfig matched = config;
    for (LayerSpec& layer : matched.layers) layer.ffn = ffn;
    if (std::abs(parameter_count(matched) - parameters) * 100 <= parameters) return matched;
  }
  bad_input("[preset] {} cannot be matched to {} parameters at width {}, got {} with the smallest FFN", name,
            parameters, options.width, parameter_count(config));
}

PresetOptions paper_shape(std::string_view name) {
  if (name != "paper-1b" && name != "paper-7b")
    bad_input("[preset] unknown shape, got {}, expected paper-1b or paper-7b", name);
  PresetOptions options;
  options.width = 2048;
  options.layers = name == "paper-1b" ? 20 : 24;
  options.vocab = 65536;
  options.context = 4096;
  options.rope.theta = 500000;
  return options;
}

}  // namespace mfa
