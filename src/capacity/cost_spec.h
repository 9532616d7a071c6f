// A layer as capacity counts it: plain numbers, so that a planner can make and count a hundred thousand of them.
// It knows kinds of layer that model/ does not run: experts, chunked attention, a linear-attention state.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/model_config.h"

namespace mfa {

struct CostAttention {
  KeySource key_source = KeySource::projection;
  ValueSource value_source = ValueSource::projection;
  KeyReuse reuse = KeyReuse::gated;
  ReuseAt reuse_at = ReuseAt::before_rope;
  int64_t n_heads = 1, kv_heads = 1;
  int64_t head_dim = 0, value_dim = 0;  // as in AttentionSpec
  int64_t q_rank = 0;                   // 0: dense query
  int64_t kv_rank = 0, rope_dim = 0;    // MLA
  int64_t rotary_dim = 0;               // dims of each head that are rotated; 0: none
  bool alibi = false;
  bool q_norm = false;          // on the query latent
  bool qk_norm = false;         // of each q and k head, weights [head_dim]
  bool qk_norm_weights = true;  // false: they have none (Llama-4)
  bool q_bias = false, kv_bias = false, o_bias = false;
  bool owns_cache = true;  // false: reads a lower layer's
  int64_t window = 0;      // tokens that a token sees, itself included; 0: all
  // Counted, not run:
  bool evicts = false;          // its cache drops what no later token sees; ours keeps all tokens
  int64_t chunk = 0;            // Llama-4: a token sees those of its own run of `chunk` tokens; 0: none
  bool linear = false;          // MiniMax-M1: a state [head_dim, value_dim] a head, in f32, instead of a cache
  bool output_gate = false;     // sigmoid(x G) on the head outputs, G [width → heads · value_dim]
  bool output_norm = false;     // RMSNorm on all head outputs, before the gate
  bool soft_cap = false;        // scores pass through cap · tanh(s / cap) (Gemma 2)
  int64_t report_kv_bytes = 1;  // of a cached number in Step-3's report: 2 where it keeps BF16

  int64_t key_dim() const { return head_dim + (key_source == KeySource::latent ? rope_dim : 0); }
};

enum class Activation { swiglu, geglu };  // silu(gate) · up, or GELU (by tanh) of the gate
enum class RouterScore { softmax, sigmoid };

struct CostFfn {
  int64_t width = 0;  // inner width of the dense part; 0: there is none
  bool bias = false;
  Activation activation = Activation::swiglu;
  // Experts: counted, not run.
  int64_t experts = 0, top_k = 0, expert_width = 0;
  int64_t shared_width = 0;      // inner width of all shared experts together
  bool router_bias = false;      // added to scores when experts are chosen
  bool shared_gate = false;      // sigmoid(x g) on the shared expert (Qwen2-MoE)
  bool normalize_top_k = false;  // the chosen weights are divided by their sum
  RouterScore score = RouterScore::softmax;
};

struct CostLayer {
  CostAttention attention;
  CostFfn ffn;
  ModelNorm norm = ModelNorm::rms;
  int64_t norms = 2;             // of the residual stream's width; Gemma 2 and 3: 4
  bool scaled_residual = false;  // h ← a·h + b·f(h): two more products a number (MiniMax-M1)
};

struct CostModel {
  int64_t width = 0, vocab = 0, context = 0;
  ModelNorm norm = ModelNorm::rms;
  bool tied = true;
  bool scaled_embedding = false;  // embedding rows are multiplied by a constant (Gemma)
  bool final_soft_cap = false;    // of logits (Gemma 2)
  std::vector<CostLayer> layers;
  std::string attention;           // what to call it: "gqa", "mla", "gqa+linear"
  bool runs = true;                // false: counted only, by `counted_only`
  std::vector<std::string> notes;  // what is counted but not run, or left out, by name
};

// What a layer of a model that runs costs is a matter of these fields. Reads no other layer.
CostAttention cost_attention(const AttentionSpec& spec, int64_t window, bool owns_cache);
CostLayer cost_layer(const ModelConfig& config, int64_t layer);
CostModel cost_model(const ModelConfig& config);

}  // namespace mfa
