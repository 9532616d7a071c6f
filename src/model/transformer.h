// The Transformer for training and whole-sequence evaluation: pre-norm, explicit forward and backward.
//
//   h ← embed[ids];  per layer: h ← h + attention(norm(h)), h ← h + ffn(norm(h));  logits = norm(h) Eᵀ
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "model/attention_layer.h"
#include "model/ffn_layer.h"
#include "model/parameter_store.h"

namespace mfa {

// `sequences · context` tokens on the host, row-major.
struct TokenBatch {
  std::span<const int32_t> ids;
  std::span<const int32_t> targets;    // negative: not scored. May be empty for forward()
  std::span<const int32_t> doc_start;  // first token of its window that a token may see; empty: all
};

// Shapes are fixed at construction; one arena is laid out then, and no call allocates afterwards.
// Memory: 4 bytes × parameters (×2 with gradients) held by the stores, plus activation_bytes().
class Transformer {
 public:
  // `gradients` null: evaluation only. A matrix that `gradients` lacks is frozen: its gradient is not computed. `lora`:
  // adapters on the linear layers, whose gradients are added to theirs. All stores must outlive the model.
  Transformer(ParameterStore& weights, ParameterStore* gradients, const ModelConfig& config, int64_t sequences,
              int64_t context, Lora* lora = nullptr);
  Transformer(const Transformer&) = delete;
  Transformer& operator=(const Transformer&) = delete;

  // Σ over scored targets of −log p(target), in nats.
  double loss(const TokenBatch& batch);
  // The same; adds gradient_scale · d(Σ loss) to the gradients. The logits exist for a block of rows at a time.
  double loss_and_gradients(const TokenBatch& batch, double gradient_scale);
  // Logits [sequences · context, vocab] on the host, in f64: for tests and small evaluations.
  std::vector<double> logits(const TokenBatch& batch);
  // −log p(target) of each token of the last loss().
  std::vector<double> token_losses() const;

  // The largest attention logit of each layer in the last forward pass, when it was asked for.
  void record_max_logits(bool on) { context_.want_max_logit = on; }
  std::vector<double> max_logits() const;

  size_t activation_bytes() const { return memory_.bytes(); }
  const std::vector<Arena::Entry>& saved_activations() const { return saved_entries_; }

 private:
  struct Block {
    NormLayer attention_norm, ffn_norm;
    std::unique_ptr<AttentionLayer> attention;
    std::unique_ptr<FfnLayer> ffn;
    Tensor attention_input, middle, ffn_input, output;  // normed h; h after attention; normed; h after the FFN
  };

  void plan(Workspace& workspace);
  void upload_positions();
  void upload_batch(const TokenBatch& batch);
  void forward();
  void backward();
  double score(bool gradients, double gradient_scale);

  ParameterStore& weights_;
  ModelConfig config_;
  LayerContext context_;
  Parameter embedding_, classifier_;  // the same one where they are tied
  RotaryTables rotary_;
  DeviceMemory alibi_memory_, memory_;
  std::vector<Arena::Entry> saved_entries_;

  Tensor ids_, targets_, losses_, embedded_, final_, logits_, dlogits_;
  Tensor dh_, dnormed_;
  Tensor branch_;  // what attention or FFN adds to the residual stream; dnormed_ where there is one, idle till then
  NormLayer final_norm_;
  std::vector<Block> blocks_;
};

}  // namespace mfa
