#include "model/key_value_path.h"

namespace mfa {
namespace {

std::string attention_prefix(int64_t layer) { return "model.layers." + std::to_string(layer) + ".self_attn."; }

void rotate(const LayerContext& c, const RotaryTable& table, Tensor x, int64_t heads, int64_t head_dim, bool inverse) {
  if (!table.cos) return;
  c.device.rope({.x = x,
                 .positions = c.positions,
                 .cos = table.cos,
                 .sin = table.sin,
                 .n_heads = heads,
                 .head_dim = head_dim,
                 .inverse = inverse});
}

// v made from k: shared by key projections (MFA-KR) and inputs (FPBA).
class ReusedValue {
 public:
  ReusedValue() = default;
  ReusedValue(const LayerContext& context, int64_t layer, RotaryTable rotary, Workspace& workspace)
      : context_(&context),
        spec_(&context.config.layers[layer].attention),
        rotary_(rotary),
        map_(context, spec_->reuse, attention_prefix(layer)) {
    const DType real = context.device.real();
    const int64_t rows = context.rows(), cols = spec_->kv_heads * spec_->head_dim;
    // The value needs the unrotated key, the scores the rotated one.
    if (rotary.cos) rotated_ = workspace.saved.tensor("keys, rotated", real, rows, cols);
    if (after() || map_.identity()) return;
    mixed_ = workspace.saved.tensor("value mix", real, rows, cols);
    if (map_.needs_output()) out_ = workspace.saved.tensor("values", real, rows, cols);
    if (context.gradients != nullptr) scratch_ = workspace.scratch.tensor("dmix", real, rows, cols);
  }

  void forward(Tensor raw, Tensor& key, Tensor& value) {
    raw_ = key = raw;
    if (rotary_.cos) {
      key = rotated_;
      context_->device.convert(key, raw);
      rotate(*context_, rotary_, key, spec_->kv_heads, spec_->head_dim, false);
    }
    value = after() ? key : map_.forward(raw, mixed_, out_);
  }

  // draw += gradient of the unrotated key. dkey is overwritten.
  void backward(Tensor dkey, Tensor dvalue, Tensor draw) {
    if (after()) context_->device.add(dkey, dvalue);
    rotate(*context_, rotary_, dkey, spec_->kv_heads, spec_->head_dim, true);
    context_->device.add(draw, dkey);
    if (!after()) map_.backward(raw_, mixed_, dvalue, draw, scratch_);
  }

 private:
  bool after() const { return spec_->reuse_at == ReuseAt::after_rope; }
  const LayerContext* context_ = nullptr;
  const AttentionSpec* spec_ = nullptr;
  RotaryTable rotary_;
  ValueMap map_;
  Tensor raw_, rotated_, mixed_, out_, scratch_;
};

// MHA, MQA, GQA, MFA, MFA-KR: k = x S_k, v = x S_v or from k.
class ProjectedKeyValue : public KeyValuePath {
 public:
  ProjectedKeyValue(const LayerContext& context, int64_t layer, RotaryTable rotary, bool shared, Workspace& workspace)
      : context_(&context), spec_(&context.config.layers[layer].attention), rotary_(rotary), shared_(shared) {
    const DType real = context.device.real();
    const int64_t rows = context.rows();
    if (spec_->qk_norm) {
      norm_ = NormLayer(context, attention_prefix(layer) + "k_norm", NormKind::rms, spec_->kv_heads, workspace.saved);
      normed_ = workspace.saved.tensor("keys, normed", real, rows, key_cols());
    }
    if (reuse()) reused_ = ReusedValue(context, layer, rotary, workspace);
    if (context.gradients == nullptr || straight()) return;
    Arena& arena = shared ? workspace.saved : workspace.scratch;
    dkey = arena.tensor("dk", real, rows, key_cols());
    dvalue = arena.tensor("dv", real, rows, spec_->kv_heads * spec_->value_dim);
    if (reuse() && spec_->qk_norm) draw_ = workspace.scratch.tensor("dk, unrotated", real, rows, key_cols());
  }

  int64_t down_cols() const override { return key_cols() + (reuse() ? 0 : spec_->kv_heads * spec_->value_dim); }

  void place_gradients(Tensor dp) override {
    if (!straight()) return;
    dkey = dp.slice_cols(0, key_cols());
    dvalue = dp.slice_cols(key_cols(), dp.cols - key_cols());
  }

  void forward(Tensor p, Tensor) override {
    raw_ = p.slice_cols(0, key_cols());
    if (spec_->qk_norm) norm_.forward(raw_, normed_);
    const Tensor k = spec_->qk_norm ? normed_ : raw_;
    if (reuse()) return reused_.forward(k, key, value);
    key = k;
    rotate(*context_, rotary_, key, spec_->kv_heads, spec_->head_dim, false);
    value = p.slice_cols(key_cols(), p.cols - key_cols());
  }

  void backward(Tensor dp, Tensor) override {
    const Tensor draw = dp.slice_cols(0, key_cols());
    if (reuse()) {
      const Tensor dnormed = spec_->qk_norm ? draw_ : draw;
      context_->device.fill(dnormed, 0);
      reused_.backward(dkey, dvalue, dnormed);
      if (spec_->qk_norm) norm_.backward(raw_, dnormed, draw, false);
      return;
    }
    rotate(*context_, rotary_, dkey, spec_->kv_heads, spec_->head_dim, true);
    if (straight()) return;
    if (spec_->qk_norm)
      norm_.backward(raw_, dkey, draw, false);
    else
      context_->device.convert(draw, dkey);
    context_->device.convert(dp.slice_cols(key_cols(), dp.cols - key_cols()), dvalue);
  }

 private:
  bool reuse() const { return spec_->value_source == ValueSource::key; }
  // The gradients of key and value are those of the projection: attention writes them where they belong.
  bool straight() const { return !shared_ && !reuse() && !spec_->qk_norm; }
  int64_t key_cols() const { return spec_->kv_heads * spec_->head_dim; }
  const LayerContext* context_;
  const AttentionSpec* spec_;
  RotaryTable rotary_;
  NormLayer norm_;
  ReusedValue reused_;
  bool shared_;
  Tensor raw_, normed_, draw_;
};

// MLA: c = norm(x S), [k_h ; v_h] = c (K_h, V_h); every head's key ends with the one rotary key of rope_dim numbers.
class LatentKeyValue : public KeyValuePath {
 public:
  LatentKeyValue(const LayerContext& context, int64_t layer, RotaryTable rotary, bool shared, Workspace& workspace)
      : context_(&context), spec_(&context.config.layers[layer].attention), rotary_(rotary) {
    const std::string up = attention_prefix(layer) + "kv_b_proj.weight";
    up_ = LinearLayer(context, {up, up, "", ""}, workspace);
    const DType real = context.device.real();
    const int64_t rows = context.rows(), heads = spec_->n_heads;
    norm_ = NormLayer(context, attention_prefix(layer) + "kv_a_layernorm", NormKind::rms, 1, workspace.saved);
    latent_ = workspace.saved.tensor("latent, normed", context.device.operand(), rows, spec_->kv_rank);
    key = workspace.saved.tensor("keys", real, rows, heads * spec_->key_dim());
    value = workspace.saved.tensor("values", real, rows, heads * spec_->value_dim);
    expanded_ = workspace.scratch.tensor("expanded latent", real, rows, heads * expanded_dim());
    if (context.gradients == nullptr) return;
    Arena& arena = shared ? workspace.saved : workspace.scratch;
    dkey = arena.tensor("dk", real, rows, heads * spec_->key_dim());
    dvalue = arena.tensor("dv", real, rows, heads * spec_->value_dim);
    dlatent_ = workspace.scratch.tensor("dlatent, normed", real, rows, spec_->kv_rank);
  }

  int64_t down_cols() const override { return spec_->kv_rank + spec_->rope_dim; }

  void forward(Tensor p, Tensor) override {
    Device& device = context_->device;
    raw_ = p.slice_cols(0, spec_->kv_rank);
    norm_.forward(raw_, latent_);
    up_.forward(latent_, expanded_);
    device.copy_heads(key_part(expanded_, key));
    device.copy_heads(value_part(expanded_, value));
    if (spec_->rope_dim == 0) return;
    const Tensor rotary_key = p.slice_cols(spec_->kv_rank, spec_->rope_dim);
    rotate(*context_, rotary_, rotary_key, 1, spec_->rope_dim, false);
    device.copy_heads({.src = rotary_key,
                       .dst = key,
                       .n_heads = spec_->n_heads,
                       .dim = spec_->rope_dim,
                       .src_head_dim = spec_->rope_dim,
                       .dst_head_dim = spec_->key_dim(),
                       .dst_offset = spec_->head_dim,
                       .broadcast = true});
  }

  void backward(Tensor dp, Tensor) override {
    Device& device = context_->device;
    device.copy_heads(reversed(key_part(expanded_, dkey)));
    device.copy_heads(reversed(value_part(expanded_, dvalue)));
    up_.backward(latent_, expanded_, dlatent_);
    norm_.backward(raw_, dlatent_, dp.slice_cols(0, spec_->kv_rank), false);
    if (spec_->rope_dim == 0) return;
    const Tensor drotary = dp.slice_cols(spec_->kv_rank, spec_->rope_dim);
    device.copy_heads({.src = dkey,
                       .dst = drotary,
                       .n_heads = spec_->n_heads,
                       .dim = spec_->rope_dim,
                       .src_head_dim = spec_->key_dim(),
                       .src_offset = spec_->head_dim,
                       .dst_head_dim = spec_->rope_dim,
                       .reduce = true});
    rotate(*context_, rotary_, drotary, 1, spec_->rope_dim, true);
  }

 private:
  int64_t expanded_dim() const { return spec_->head_dim + spec_->value_dim; }
  // A head of the expanded latent is [key without rotary dims | value].
  CopyHeadsArgs key_part(Tensor expanded, Tensor k) const {
    return {.src = expanded,
            .dst = k,
            .n_heads = spec_->n_heads,
            .dim = spec_->head_dim,
            .src_head_dim = expanded_dim(),
            .dst_head_dim = spec_->key_dim()};
  }
  CopyHeadsArgs value_part(Tensor expanded, Tensor v) const {
    return {.src = expanded,
            .dst = v,
            .n_heads = spec_->n_heads,
            .dim = spec_->value_dim,
            .src_head_dim = expanded_dim(),
            .src_offset = spec_->head_dim,
            .dst_head_dim = spec_->value_dim};
  }
  static CopyHeadsArgs reversed(CopyHeadsArgs a) {
    std::swap(a.src, a.dst);
    std::swap(a.src_head_dim, a.dst_head_dim);
    std::swap(a.src_offset, a.dst_offset);
    return a;
  }

  const LayerContext* context_;
  const AttentionSpec* spec_;
  RotaryTable rotary_;
  LinearLayer up_;
  NormLayer norm_;
  Tensor raw_, latent_, expanded_, dlatent_;
};

// FPBA: the key is the layer's normed input itself, and so is the value.
class InputKeyValue : public KeyValuePath {
 public:
  InputKeyValue(const LayerContext& context, int64_t layer, RotaryTable rotary, bool shared, Workspace& workspace)
      : reused_(context, layer, rotary, workspace) {
    if (context.gradients == nullptr) return;
    Arena& arena = shared ? workspace.saved : workspace.scratch;
    dkey = arena.tensor("dk", context.device.real(), context.rows(), context.config.width);
    dvalue = arena.tensor("dv", context.device.real(), context.rows(), context.config.width);
  }
  int64_t down_cols() const override { return 0; }
  void forward(Tensor, Tensor input) override { reused_.forward(input, key, value); }
  void backward(Tensor, Tensor dinput) override { reused_.backward(dkey, dvalue, dinput); }

 private:
  ReusedValue reused_;
};

}  // namespace

std::unique_ptr<KeyValuePath> make_key_value_path(const LayerContext& context, int64_t layer, RotaryTable rotary,
                                                  bool shared, Workspace& workspace) {
  switch (context.config.layers[layer].attention.key_source) {
    case KeySource::latent:
      return std::make_unique<LatentKeyValue>(context, layer, rotary, shared, workspace);
    case KeySource::input:
      return std::make_unique<InputKeyValue>(context, layer, rotary, shared, workspace);
    case KeySource::projection:
      break;
  }
  return std::make_unique<ProjectedKeyValue>(context, layer, rotary, shared, workspace);
}

}  // namespace mfa
