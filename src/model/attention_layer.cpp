#include "model/attention_layer.h"

#include "model/position.h"

namespace mfa {
namespace {

AttentionShape shape_of(const LayerContext& context, int64_t layer) {
  const AttentionSpec& spec = context.config.layers[layer].attention;
  return {.sequences = context.sequences,
          .tokens = context.context,
          .n_heads = spec.n_heads,
          .kv_heads = spec.kv_heads,
          .key_dim = spec.key_dim(),
          .value_dim = spec.value_dim,
          .window = context.config.layers[layer].window,
          .scale = softmax_scale(spec)};
}

}  // namespace

AttentionLayer::AttentionLayer(const LayerContext& context, int64_t layer, AttentionLayer* owner, bool shared,
                               RotaryTables& tables, Workspace& workspace)
    : context_(&context),
      spec_(&context.config.layers[layer].attention),
      prefix_("model.layers." + std::to_string(layer) + ".self_attn."),
      rotary_(tables.get(*spec_)),
      query_(context, layer, rotary_, workspace),
      own_(owner == nullptr ? make_key_value_path(context, layer, rotary_, shared, workspace) : nullptr),
      key_value_(owner == nullptr ? own_.get() : owner->own_.get()),
      shared_(shared || owner != nullptr),
      layer_(layer) {
  const DType real = context.device.real();
  const int64_t rows = context.rows(), out_cols = spec_->n_heads * spec_->value_dim;
  Arena &saved = workspace.saved, &scratch = workspace.scratch;
  down_ = LinearLayer(context,
                      {prefix_ + down_first(), prefix_ + down_last(), spec_->qkv_bias ? prefix_ + "q_proj.bias" : "",
                       spec_->qkv_bias ? prefix_ + bias_last() : ""},
                      workspace);
  const std::string o = prefix_ + "o_proj.weight", o_bias = spec_->o_bias ? prefix_ + "o_proj.bias" : "";
  output_ = LinearLayer(context, {o, o, o_bias, o_bias}, workspace);
  p_ = saved.tensor("q, k, v projections", real, rows, query_.down_cols() + (own_ ? own_->down_cols() : 0));
  out_ = saved.tensor("head outputs", after_rope() ? real : context.device.operand(), rows, out_cols);
  lse_ = saved.tensor("log-sum-exp", real, rows, spec_->n_heads);
  if (after_rope()) {
    const int64_t map_layer = owner == nullptr ? layer : owner->layer_;
    output_map_ = ValueMap(context, spec_->reuse, "model.layers." + std::to_string(map_layer) + ".self_attn.");
    if (!output_map_.identity()) mixed_ = saved.tensor("value mix", real, rows, out_cols);
    if (output_map_.needs_output()) mapped_ = saved.tensor("mapped outputs", real, rows, out_cols);
  }
  scratch_ = scratch.tensor("attention scratch", DType::u8, 1,
                            static_cast<int64_t>(context.device.attention_scratch(shape_of(context, layer))));
  max_logits_ = scratch.tensor("largest logits", real, rows, spec_->n_heads);
  if (context.gradients == nullptr) return;
  dp_ = scratch.tensor("dp", real, rows, p_.cols);
  if (own_) own_->place_gradients(dp_.slice_cols(query_.down_cols(), own_->down_cols()));
  dout_ = scratch.tensor("dout", real, rows, out_cols);
  if (!after_rope()) return;
  dsum_ = scratch.tensor("dsum", real, rows, out_cols);
  if (!output_map_.identity()) dmixed_ = scratch.tensor("dmix", real, rows, out_cols);
}

AttentionArgs AttentionLayer::attention_args() {
  AttentionArgs args{.shape = shape_of(*context_, layer_),
                     .q = q_,
                     .k = key_value_->key,
                     .v = key_value_->value,
                     .out = out_,
                     .lse = lse_,
                     .scratch = scratch_};
  if (context_->want_max_logit) args.max_logit = max_logits_;
  if (spec_->position == PositionKind::alibi) args.alibi_slopes = context_->alibi[layer_];
  if (context_->documents) args.doc_start = context_->doc_start;
  return args;
}

void AttentionLayer::rotate_output(Tensor x, bool inverse) {
  if (!rotary_.cos) return;
  context_->device.rope({.x = x,
                         .positions = context_->positions,
                         .cos = rotary_.cos,
                         .sin = rotary_.sin,
                         .n_heads = spec_->n_heads,
                         .head_dim = spec_->value_dim,
                         .inverse = inverse});
}

Tensor AttentionLayer::map_output() {
  if (!after_rope()) return out_;
  rotate_output(out_, true);
  if (output_map_.identity()) return out_;
  const Tensor mapped = output_map_.forward(as_heads(out_), as_heads(mixed_), mapped_ ? as_heads(mapped_) : Tensor{});
  return mapped.reshape(out_.rows, out_.cols);
}

void AttentionLayer::forward(Tensor x, Tensor y) {
  Device& device = context_->device;
  x_ = x;
  down_.forward(x, p_);
  const int64_t q_cols = query_.down_cols();
  q_ = query_.forward(p_.slice_cols(0, q_cols));
  if (own_) own_->forward(p_.slice_cols(q_cols, p_.cols - q_cols), x);
  device.attention_forward(attention_args());
  if (context_->want_max_logit) max_logit_ = device.max_value(max_logits_);
  output_.forward(map_output(), y, false);
}

void AttentionLayer::begin_backward() {
  if (!own_ || !shared_) return;
  context_->device.fill(own_->dkey, 0);
  context_->device.fill(own_->dvalue, 0);
}

Tensor AttentionLayer::unmap_output_gradient(Tensor dout) {
  if (!after_rope()) return dout;
  context_->device.fill(dsum_, 0);
  output_map_.backward(as_heads(out_), mixed_ ? as_heads(mixed_) : Tensor{}, as_heads(dout), as_heads(dsum_),
                       dmixed_ ? as_heads(dmixed_) : Tensor{});
  rotate_output(dsum_, false);
  rotate_output(out_, false);  // attention_backward compares the output with its gradient: the same frame for both
  return dsum_;
}

void AttentionLayer::backward(Tensor dy, Tensor dx) {
  Device& device = context_->device;
  const Tensor projected = !after_rope() || output_map_.identity() ? out_ : mapped_ ? mapped_ : mixed_;
  output_.backward(projected, dy, dout_);
  const Tensor dsum = unmap_output_gradient(dout_);
  const int64_t q_cols = query_.down_cols();
  const Tensor dp_query = dp_.slice_cols(0, q_cols);
  device.attention_backward({.forward = attention_args(),
                             .dout = dsum,
                             .dq = query_.gradient(dp_query),
                             .dk = key_value_->dkey,
                             .dv = key_value_->dvalue,
                             .accumulate_kv = shared_});
  query_.backward(dp_query);
  const bool late = own_ && own_->adds_to_input();
  if (own_ && !late) own_->backward(dp_.slice_cols(q_cols, dp_.cols - q_cols), {});
  down_.backward(x_, dp_, dx);
  if (late) own_->backward({}, dx);
}

std::string AttentionLayer::down_first() const {
  return spec_->key_source == KeySource::latent && spec_->q_rank > 0 ? "q_a_proj.weight" : "q_proj.weight";
}

std::string AttentionLayer::down_last() const {
  if (!own_ || spec_->key_source == KeySource::input) return down_first();
  if (spec_->key_source == KeySource::latent) return "kv_a_proj_with_mqa.weight";
  return spec_->value_source == ValueSource::projection ? "v_proj.weight" : "k_proj.weight";
}

std::string AttentionLayer::bias_last() const {
  if (!own_) return "q_proj.bias";
  return spec_->value_source == ValueSource::projection ? "v_proj.bias" : "k_proj.bias";
}

}  // namespace mfa
