// Arguments of the attention operations: training over whole sequences, and inference over a paged cache.
#pragma once

#include <cstdint>
#include <span>

#include "base/tensor.h"

namespace mfa {

// Causal attention over `sequences` sequences of `tokens` tokens each; row = sequence · tokens + token.
//   s_ij = scale · q_i · k_j − slope_h · (i − j)      lo(i) ≤ j ≤ i
//   out_i = Σ_j softmax_j(s_ij) v_j
// Query head h reads KV head h / (n_heads / kv_heads). lo(i) = max(0, i − window + 1 if window > 0, doc_start_i).
struct AttentionShape {
  int64_t sequences = 1, tokens = 0;
  int64_t n_heads = 1, kv_heads = 1;
  int64_t key_dim = 0, value_dim = 0;  // of one head; any size ≥ 1
  int64_t window = 0;                  // 0: none
  double scale = 1;
};

// Forward: 2·T²·n_heads·(key_dim + value_dim)/2·2 operations a sequence, causal half; nothing of T×T is ever stored.
struct AttentionArgs {
  AttentionShape shape;
  Tensor q;             // [rows, n_heads · key_dim], rotated; f32 (f64), or an operand (device.h)
  Tensor k;             // [rows, kv_heads · key_dim], rotated
  Tensor v;             // [rows, kv_heads · value_dim]; may be the same memory as k
  Tensor out;           // [rows, n_heads · value_dim], an operand (device.h)
  Tensor lse;           // [rows, n_heads]: log Σ_j exp(s_ij), kept for backward
  Tensor max_logit;     // [rows, n_heads]: max_j s_ij; may be empty
  Tensor alibi_slopes;  // [1, n_heads], or empty
  Tensor doc_start;     // [1, rows] i32: the first token of its sequence that a row may see; or empty
  Tensor scratch;       // [1, Device::attention_scratch(shape)] u8
};

// Backward: recomputes the probabilities tile by tile from lse. 2.5 × the operations of forward.
struct AttentionGradArgs {
  AttentionArgs forward;  // out and lse as forward left them
  Tensor dout;            // [rows, n_heads · value_dim]
  Tensor dq;              // [rows, n_heads · key_dim], written
  Tensor dk, dv;          // like k and v, written, or added to with accumulate_kv; two different buffers
  bool accumulate_kv = false;
};

// What one page pool of one layer holds. A token leaves kv_heads · (key_dim + value_dim) numbers, or kv_heads · key_dim
// when values live inside keys (then the value is the first value_dim numbers of the cached vector).
struct KvPoolSpec {
  int64_t kv_heads = 1, key_dim = 0, value_dim = 0;
  bool value_in_key = false;
  int64_t page_tokens = 64, pages = 0;
  DType type = DType::f32;  // f32, bf16 or i8

  // An i8 vector (the key or the value of one head and token) has a scale for each 64 of its numbers, the last group
  // may be shorter: x = q · scale, |q| ≤ 127, the scale a bf16. Where values do not live inside keys, x stands for the
  // vector's rotated numbers (hadamard.h).
  static constexpr int64_t kScaleGroup = 64;
  static constexpr int64_t kScaleBytes = 2;

  int64_t numbers_per_token() const { return kv_heads * (key_dim + (value_in_key ? 0 : value_dim)); }
  int64_t scales_per_token() const {
    const auto groups = [](int64_t dim) { return (dim + kScaleGroup - 1) / kScaleGroup; };
    return type == DType::i8 ? kv_heads * (groups(key_dim) + (value_in_key ? 0 : groups(value_dim))) : 0;
  }
  // Bytes of a page ÷ its tokens; pages have no padding, so that this is the formula itself.
  int64_t bytes_per_token() const {
    return numbers_per_token() * static_cast<int64_t>(size_of(type)) + scales_per_token() * kScaleBytes;
  }
};

// Cache pages in the layout that the device's attention_paged reads. Opaque.
class KvPool {
 public:
  explicit KvPool(const KvPoolSpec& spec) : spec_(spec) {}
  virtual ~KvPool() = default;
  const KvPoolSpec& spec() const { return spec_; }
  virtual size_t bytes() const = 0;  // allocated

 private:
  KvPoolSpec spec_;
};

// Some new tokens of one sequence: query row first_row + r stands at position first_position + r and sees the cached
// tokens of positions ≤ its own (its own included: append first). pages[p] holds positions [p·page_tokens, …).
struct PagedSequence {
  std::span<const int32_t> pages;
  int64_t first_row = 0, n_rows = 0, first_position = 0;
};

// A row's result does not depend on the other rows or sequences of the call.
struct PagedAttentionArgs {
  const KvPool* pool = nullptr;
  Tensor q, out;  // [rows, n_heads · key_dim] rotated; [rows, n_heads · value_dim]
  int64_t n_heads = 1, window = 0;
  double scale = 1;
  Tensor alibi_slopes;  // [1, n_heads], or empty
  // Key rotation on read, for caches of unrotated keys (MFA-KR, value before RoPE): cos and sin [positions, half]
  // rotate the first 2·half dims of each cached key, half-split, at its position. Values stay as cached. Or empty. Row
  // p must be p times the rotation of row 1, all rows of one length (YaRN's factor): the device may split a position in
  // two, R(a + b) = R(a) R(b), and read few rows.
  Tensor key_cos, key_sin;
  std::span<const PagedSequence> sequences;
};

}  // namespace mfa
