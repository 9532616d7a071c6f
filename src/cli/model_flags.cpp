#include "model_flags.h"

#include "model/enum_names.h"

namespace mfa {

void ModelFlags::add_to(CLI::App& app) {
  const auto size = [&](const char* flag, int64_t& value, const char* help) {
    app.add_option(flag, value, help)
        ->check(CLI::Range(int64_t{0}, int64_t{1} << 32))
        ->capture_default_str()
        ->group("Model");
  };
  size("--width", shape.width, "Model width");
  size("--layers", shape.layers, "Layers");
  size("--heads", shape.heads, "Query heads (0: the preset's choice, for equal parameters)");
  size("--kv-heads", shape.kv_heads, "Key/value heads (0: the preset's choice)");
  size("--head-dim", shape.head_dim, "Dims of a head; for mfa and mfa-kr this is C (0: the preset's choice)");
  size("--q-rank", shape.q_rank, "Rank of the query path (0: C for mfa, width/4 for mla, dense for the rest)");
  size("--kv-rank", shape.kv_rank, "mla: numbers of the cached latent (0: width/4)");
  size("--rope-dim", shape.rope_dim, "mla: rotary dims beside the latent (0: half the head dim)");
  size("--ffn", shape.ffn, "Inner width of the feed-forward layers (0: 8/3 of the width)");
  size("--vocab", shape.vocab, "Vocabulary of the tokenizer trained on the text");
  size("--context", shape.context, "Tokens of a training window");
  size("--window", shape.window, "Sliding window, tokens a token sees (0: all)");
  size("--share-cache", shape.share_cache, "Every n layers share one cache");
  app.add_option("--position", position, "rope, alibi or none")->capture_default_str()->group("Model");
  app.add_option("--rope-theta", shape.rope.theta, "Base of RoPE")->capture_default_str()->group("Model");
  app.add_option("--rope-scaling", rope_scaling, "none, linear, ntk, yarn or llama3")
      ->capture_default_str()
      ->group("Model");
  app.add_option("--rope-factor", shape.rope.factor, "Factor of the scaling")->capture_default_str()->group("Model");
  size("--rope-original-context", shape.rope.original_context, "yarn, llama3: context before scaling");
  app.add_option("--norm", norm, "rms or layer")->capture_default_str()->group("Model");
  app.add_flag("--q-norm", shape.q_norm, "mfa, mfa-kr: RMSNorm on the query latent, as Step-3 has")->group("Model");
  app.add_flag("--untied", untied, "A classifier of its own, not the embedding")->group("Model");
  app.add_flag("--qkv-bias", shape.qkv_bias, "Biases on q, k, v")->group("Model");
  app.add_flag("--o-bias", shape.o_bias, "Bias on the attention output")->group("Model");
  app.add_flag("--ffn-bias", shape.ffn_bias, "Biases in the feed-forward layers")->group("Model");
  app.add_flag("--qk-norm", shape.qk_norm, "RMSNorm of every q and k head")->group("Model");
  app.add_option("--reuse", reuse, "mfa-kr: identity, map, residual or gated")->capture_default_str()->group("Model");
  app.add_option("--reuse-at", reuse_at, "mfa-kr: value from the key before_rope or after_rope")
      ->capture_default_str()
      ->group("Model");
}

PresetOptions ModelFlags::options() const {
  PresetOptions o = shape;
  o.position = parse_enum<PositionKind>(position, "--position");
  o.norm = parse_enum<ModelNorm>(norm, "--norm");
  o.rope.scaling = parse_enum<RopeScaling>(rope_scaling, "--rope-scaling");
  o.reuse = parse_enum<KeyReuse>(reuse, "--reuse");
  o.reuse_at = parse_enum<ReuseAt>(reuse_at, "--reuse-at");
  o.tied = !untied;
  return o;
}

}  // namespace mfa
