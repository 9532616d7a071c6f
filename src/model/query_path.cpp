#include "model/query_path.h"

namespace mfa {

QueryPath::QueryPath(const LayerContext& context, int64_t layer, RotaryTable rotary, Workspace& workspace)
    : context_(&context), spec_(&context.config.layers[layer].attention), rotary_(rotary) {
  const std::string prefix = "model.layers." + std::to_string(layer) + ".self_attn.";
  const bool latent_attention = spec_->key_source == KeySource::latent;
  const int64_t rows = context.rows(), q_cols = spec_->n_heads * spec_->key_dim();
  const DType real = context.device.real();
  Arena& saved = workspace.saved;
  const std::string up = prefix + (latent_attention ? "q_b_proj.weight" : "wq.weight");
  if (low_rank()) up_ = LinearLayer(context, {up, up, "", ""}, workspace);
  if (spec_->q_norm) {
    latent_norm_ =
        NormLayer(context, prefix + (latent_attention ? "q_a_layernorm" : "inter_norm"), NormKind::rms, 1, saved);
    latent_ = saved.tensor("query latent, normed", context.device.operand(), rows, spec_->q_rank);
  }
  const bool rounded = low_rank() && rotary_.cos && !spec_->qk_norm && context.device.operand() != real;
  if (low_rank()) raw_ = (rounded ? workspace.scratch : saved).tensor("queries", real, rows, q_cols);
  if (rounded) turned_ = saved.tensor("queries, turned", context.device.operand(), rows, q_cols);
  if (spec_->qk_norm) {
    head_norm_ = NormLayer(context, prefix + "q_norm", NormKind::rms, spec_->n_heads, saved);
    q_ = saved.tensor("queries, normed", real, rows, q_cols);
  }
  if (context.gradients == nullptr) return;
  if (rounded) {  // nobody needs the queries themselves any more
    dq_ = raw_;
    turned_dq_ = workspace.scratch.tensor("dq, an operand", context.device.operand(), rows, q_cols);
  } else if (low_rank() || spec_->qk_norm) {
    dq_ = workspace.scratch.tensor("dq", real, rows, q_cols);
  }
  if (spec_->q_norm) dlatent_ = workspace.scratch.tensor("dlatent", real, rows, spec_->q_rank);
}

void QueryPath::rotate(Tensor q, bool inverse, Tensor out) {
  if (!rotary_.cos) return;
  // MLA rotates the last rope_dim dims of a head, all others the whole head.
  const int64_t offset = spec_->key_dim() - spec_->rotary_dim();
  context_->device.rope({.x = q,
                         .positions = context_->positions,
                         .cos = rotary_.cos,
                         .sin = rotary_.sin,
                         .n_heads = spec_->n_heads,
                         .head_dim = spec_->key_dim(),
                         .offset = offset,
                         .inverse = inverse,
                         .out = out});
}

Tensor QueryPath::forward(Tensor p) {
  p_ = p;
  Tensor q = p;
  if (spec_->q_norm) latent_norm_.forward(p, latent_);
  if (low_rank()) {
    up_.forward(spec_->q_norm ? latent_ : p, raw_);
    q = raw_;
  }
  if (spec_->qk_norm) {
    head_norm_.forward(q, q_);
    q = q_;
  }
  rotate(q, false, turned_);
  return turned_ ? turned_ : q;
}

Tensor QueryPath::gradient(Tensor dp) { return dq_ ? dq_ : dp; }

void QueryPath::backward(Tensor dp) {
  Tensor dq = gradient(dp);
  rotate(dq, true, turned_dq_);
  if (turned_dq_) dq = turned_dq_;
  if (spec_->qk_norm) head_norm_.backward(low_rank() ? raw_ : p_, dq, low_rank() ? dq : dp, false);
  if (!low_rank()) return;
  const Tensor dlatent = spec_->q_norm ? dlatent_ : dp;
  up_.backward(spec_->q_norm ? latent_ : p_, dq, dlatent);
  if (spec_->q_norm) latent_norm_.backward(p_, dlatent, dp, false);
}

}  // namespace mfa
