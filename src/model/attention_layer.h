// One attention layer, forward and backward: query path, key/value source, attention, output projection.
#pragma once

#include <memory>

#include "model/key_value_path.h"
#include "model/query_path.h"

namespace mfa {

class AttentionLayer {
 public:
  // `owner`: the layer whose keys and values this one reads, or null when it has its own. `shared`: others read ours.
  AttentionLayer(const LayerContext& context, int64_t layer, AttentionLayer* owner, bool shared, RotaryTables& tables,
                 Workspace& workspace);

  // y = attention(x), x [rows, width] the normed input, kept by view for backward.
  void forward(Tensor x, Tensor y);
  // dx = gradient of x, written. Readers of a shared cache go before its owner, as layers do from last to first.
  void backward(Tensor dy, Tensor dx);
  // Clears what readers add to; before a step's first backward().
  void begin_backward();
  double max_logit() const { return max_logit_; }  // of the last forward with context.want_max_logit

 private:
  AttentionArgs attention_args();
  Tensor map_output();                        // value after RoPE: rotates back and maps the heads' sums
  Tensor unmap_output_gradient(Tensor dout);  // its gradient
  void rotate_output(Tensor x, bool inverse);
  bool after_rope() const { return spec_->value_source == ValueSource::key && spec_->reuse_at == ReuseAt::after_rope; }
  // The first product serves all that read x: its weight is the span from q_proj (or S_q) to the last of k, v or
  // latent.
  std::string down_first() const;
  std::string down_last() const;
  std::string bias_last() const;
  Tensor as_heads(Tensor x) const { return x.reshape(x.rows * spec_->n_heads, spec_->value_dim); }

  const LayerContext* context_;
  const AttentionSpec* spec_;
  std::string prefix_;
  RotaryTable rotary_;
  QueryPath query_;
  LinearLayer down_, output_;  // q, k, v; o
  std::unique_ptr<KeyValuePath> own_;
  KeyValuePath* key_value_;  // ours or the owner's
  bool shared_;              // this layer's keys and values have several readers
  int64_t layer_;
  ValueMap output_map_;
  double max_logit_ = 0;

  Tensor x_, p_, q_;                  // input; all columns of the first product; rotated queries
  Tensor out_, lse_;                  // heads' sums [rows, n_heads · value_dim]
  Tensor mixed_, mapped_;             // value after RoPE
  Tensor scratch_, max_logits_;       // the kernel's own scratch
  Tensor dp_, dout_, dsum_, dmixed_;  // gradients of p_, the projected heads, the heads' sums
};

}  // namespace mfa
