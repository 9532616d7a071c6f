// AttentionSpec: every variant of attention is one choice of factorization of the same bilinear form, described by
// data.
//
//   O_i = Σ_c Σ_{j ≤ i} softmax(x_i W_c x_jᵀ · scale) x_j U_c        (arXiv 2412.19255; docs/theory.md)
//
// The query path factors W_c on the left (dense, or S_q Q_c), the KV source factors W_c and U_c on the right.
// The model, the cache, the planner, the report and the converter all read this struct.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mfa {

enum class PositionKind { rope, alibi, none };

enum class RopeScaling { none, linear, ntk, yarn, llama3 };

struct RopeSpec {
  double theta = 10000;
  RopeScaling scaling = RopeScaling::none;
  double factor = 1;                                 // all scalings: context is stretched by this
  int64_t original_context = 0;                      // yarn, llama3
  double low_freq_factor = 1, high_freq_factor = 4;  // llama3
  double beta_fast = 32, beta_slow = 1;              // yarn
  double attention_factor = 0;                       // yarn: multiplies cos and sin; 0: 0.1 ln(factor) + 1
  double mscale = 0, mscale_all_dim = 0;             // yarn as DeepSeek writes it
  std::vector<double> frequencies;                   // explicit table, one a rotated pair; replaces all of the above

  bool operator==(const RopeSpec&) const = default;
};

// Where a layer's keys come from.
enum class KeySource {
  projection,  // k = x S_k: MHA, MQA, GQA, MFA
  latent,      // c = norm(x S), k_h = [c K_h ; shared rotary part]: MLA. The cache holds c and the rotary part
  input,       // k = x itself: FPBA, the paper's upper bound
};

// Where a layer's values come from.
enum class ValueSource {
  projection,  // v = x S_v
  latent,      // v_h = c V_h: MLA
  key,         // from the key: MFA-KR, and FPBA
};

// How MFA-KR makes the value from the key: the four forms of the paper's ablation. N [C, C], α [C].
enum class KeyReuse {
  identity,  // v = k
  map,       // v = N k
  residual,  // v = k + N k
  gated,     // v = k + α ⊙ (N k), α = 0 at the start
};

// Which key the value is taken from when keys are rotated.
enum class ReuseAt {
  before_rope,  // v_j from k_j (the paper's formula; default)
  after_rope,   // v_j = R_j k_j, and the head's output is rotated back by R_{-i}: relative values, another model
};

struct AttentionSpec {
  std::string preset = "mha";  // the name it was made from, for tables
  int64_t n_heads = 1, kv_heads = 1;
  int64_t head_dim = 0;  // dims of q and k that are compared, without MLA's rotary extra dims
  int64_t value_dim = 0;

  int64_t q_rank = 0;   // 0: dense query; else S_q [width → q_rank], then Q [q_rank → heads·dim]
  bool q_norm = false;  // RMSNorm on the query latent (Step-3's inter_norm)

  KeySource key_source = KeySource::projection;
  ValueSource value_source = ValueSource::projection;
  KeyReuse reuse = KeyReuse::gated;  // value_source == key
  ReuseAt reuse_at = ReuseAt::before_rope;
  int64_t kv_rank = 0;   // latent: numbers of c
  int64_t rope_dim = 0;  // latent: extra rotary dims (0 with ALiBi or none)

  PositionKind position = PositionKind::rope;
  RopeSpec rope;
  bool qkv_bias = false, o_bias = false;  // biases (Qwen2: q, k, v)
  bool qk_norm = false;                   // RMSNorm of each q and k head (Qwen3)

  // Dims that one query head and one key are compared in: head_dim, plus MLA's rotary dims.
  int64_t key_dim() const { return head_dim + (key_source == KeySource::latent ? rope_dim : 0); }
  // All dims are rotated, except that MLA rotates only its extra dims.
  int64_t rotary_dim() const {
    return position != PositionKind::rope ? 0 : key_source == KeySource::latent ? rope_dim : head_dim;
  }
  // What one token leaves in the cache of one layer that owns a cache, in numbers.
  int64_t cache_numbers() const;
  int64_t cache_scales() const;  // bf16 scales beside them in an int8 cache: one a vector and 64 of its numbers
  bool operator==(const AttentionSpec&) const = default;
};

}  // namespace mfa
