// The table of names that carves the flat buffers.
#include "model/model_config.h"

namespace mfa {
namespace {

// Appends tensors one behind the other, without gaps: neighbours with equal columns are one matrix.
class TableBuilder {
 public:
  void matrix(const std::string& name, int64_t rows, int64_t cols) { add({name, rows, cols, 0, true, layer_, false}); }
  void vector(const std::string& name, int64_t cols) { add({name, 1, cols, 0, false, layer_, true}); }
  void norm(const std::string& name, int64_t cols, bool with_bias) {
    vector(name + ".weight", cols);
    if (with_bias) vector(name + ".bias", cols);
  }
  void layer(int64_t layer) { layer_ = layer; }
  std::vector<ParameterSpec> table() && { return std::move(table_); }

 private:
  void add(ParameterSpec spec) {
    spec.offset = offset_;
    offset_ += spec.size();
    table_.push_back(std::move(spec));
  }
  std::vector<ParameterSpec> table_;
  int64_t offset_ = 0, layer_ = -1;
};

// DeepSeek's names: kv_a_proj_with_mqa makes the latent and the shared rotary key, kv_b_proj expands the latent.
void add_latent_attention(TableBuilder& t, const std::string& p, const AttentionSpec& a, int64_t width, bool owns) {
  const int64_t q_out = a.n_heads * a.key_dim();
  t.matrix(p + (a.q_rank > 0 ? "q_a_proj.weight" : "q_proj.weight"), a.q_rank > 0 ? a.q_rank : q_out, width);
  if (owns) t.matrix(p + "kv_a_proj_with_mqa.weight", a.kv_rank + a.rope_dim, width);
  if (a.q_rank > 0 && a.q_norm) t.vector(p + "q_a_layernorm.weight", a.q_rank);
  if (a.q_rank > 0) t.matrix(p + "q_b_proj.weight", q_out, a.q_rank);
  if (!owns) return;
  t.vector(p + "kv_a_layernorm.weight", a.kv_rank);
  t.matrix(p + "kv_b_proj.weight", a.n_heads * (a.head_dim + a.value_dim), a.kv_rank);
}

// LLaMA's and Step-3's names. q_proj is S_q when the query is low-rank; wq is then all Q_c, head-major.
void add_projected_attention(TableBuilder& t, const std::string& p, const AttentionSpec& a, int64_t width, bool owns) {
  const int64_t q_out = a.n_heads * a.head_dim, kv_out = a.kv_heads * a.head_dim;
  const bool own_keys = owns && a.key_source == KeySource::projection;
  const bool own_values = owns && a.value_source == ValueSource::projection;
  t.matrix(p + "q_proj.weight", a.q_rank > 0 ? a.q_rank : q_out, width);
  if (own_keys) t.matrix(p + "k_proj.weight", kv_out, width);
  if (own_values) t.matrix(p + "v_proj.weight", a.kv_heads * a.value_dim, width);
  if (a.qkv_bias) {
    t.vector(p + "q_proj.bias", q_out);
    if (own_keys) t.vector(p + "k_proj.bias", kv_out);
    if (own_values) t.vector(p + "v_proj.bias", a.kv_heads * a.value_dim);
  }
  if (a.q_norm) t.vector(p + "inter_norm.weight", a.q_rank);
  if (a.q_rank > 0) t.matrix(p + "wq.weight", q_out, a.q_rank);
  if (a.qk_norm) t.vector(p + "q_norm.weight", a.head_dim);
  if (a.qk_norm && own_keys) t.vector(p + "k_norm.weight", a.head_dim);
  if (owns && a.value_source == ValueSource::key && a.reuse != KeyReuse::identity) {
    t.matrix(p + "value_mix.weight", a.head_dim, a.head_dim);
    if (a.reuse == KeyReuse::gated) t.vector(p + "value_gate", a.head_dim);
  }
}

void add_layer(TableBuilder& t, const ModelConfig& config, int64_t i) {
  const LayerSpec& layer = config.layers[i];
  const AttentionSpec& a = layer.attention;
  const std::string p = "model.layers." + std::to_string(i) + ".", attn = p + "self_attn.", mlp = p + "mlp.";
  const bool layer_norm = config.norm == ModelNorm::layer;
  t.layer(i);
  t.norm(p + "input_layernorm", config.width, layer_norm);
  if (a.key_source == KeySource::latent)
    add_latent_attention(t, attn, a, config.width, config.owns_cache(i));
  else
    add_projected_attention(t, attn, a, config.width, config.owns_cache(i));
  t.matrix(attn + "o_proj.weight", config.width, a.n_heads * a.value_dim);
  if (a.o_bias) t.vector(attn + "o_proj.bias", config.width);
  t.norm(p + "post_attention_layernorm", config.width, layer_norm);
  t.matrix(mlp + "gate_proj.weight", layer.ffn, config.width);
  t.matrix(mlp + "up_proj.weight", layer.ffn, config.width);
  if (config.ffn_bias) {
    t.vector(mlp + "gate_proj.bias", layer.ffn);
    t.vector(mlp + "up_proj.bias", layer.ffn);
  }
  t.matrix(mlp + "down_proj.weight", config.width, layer.ffn);
  if (config.ffn_bias) t.vector(mlp + "down_proj.bias", config.width);
}

}  // namespace

std::vector<ParameterSpec> parameter_table(const ModelConfig& config) {
  TableBuilder t;
  t.matrix("model.embed_tokens.weight", config.vocab, config.width);
  for (int64_t i = 0; i < config.n_layers(); ++i) add_layer(t, config, i);
  t.layer(-1);
  t.norm("model.norm", config.width, config.norm == ModelNorm::layer);
  if (!config.tied) t.matrix("lm_head.weight", config.vocab, config.width);
  return std::move(t).table();
}

int64_t parameter_count(const ModelConfig& config) {
  const std::vector<ParameterSpec> table = parameter_table(config);
  return table.back().offset + table.back().size();
}

}  // namespace mfa
