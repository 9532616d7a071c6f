#include "kernels/counting_device.h"

#include <algorithm>

namespace mfa {
namespace {

double numbers(Tensor x) { return static_cast<double>(x.rows) * static_cast<double>(x.cols); }

// Pairs of a query and a token that it sees, in one causal sequence.
double pairs_of(int64_t first, int64_t rows, int64_t window) {
  double pairs = 0;
  for (int64_t i = first; i < first + rows; ++i) {
    const int64_t lowest = window > 0 ? std::max<int64_t>(0, i - window + 1) : 0;
    pairs += static_cast<double>(i - lowest + 1);
  }
  return pairs;
}

// RMSNorm: square and sum (2), times 1/rms and weight (2); mean, eps, root. LayerNorm: sum (1); subtract, square, sum
// (3); subtract, times 1/sd, weight, bias (4); two means, eps, root.
double norm_of(NormKind kind, double d) { return kind == NormKind::rms ? 4 * d + 3 : 8 * d + 4; }
// dx, dweight (and dbias), as kernels/reference writes them.
double norm_back(NormKind kind, double d) { return kind == NormKind::rms ? 9 * d + 1 : 13 * d + 2; }

}  // namespace

void CountingDevice::matmul(const MatmulArgs& args) {
  const int64_t depth = args.transpose_a ? args.a.rows : args.a.cols;
  counts_.products += 2 * numbers(args.c) * static_cast<double>(depth);
  ForwardingDevice::matmul(args);
}
void CountingDevice::linear(Tensor x, const PackedWeight& w, Tensor y) {
  counts_.products += 2 * static_cast<double>(x.rows) * static_cast<double>(w.in) * static_cast<double>(w.out);
  ForwardingDevice::linear(x, w, y);
}
void CountingDevice::add(Tensor dst, Tensor src) {
  counts_.additions += numbers(src);
  ForwardingDevice::add(dst, src);
}
void CountingDevice::scale(Tensor x, double factor) {
  counts_.additions += numbers(x);
  ForwardingDevice::scale(x, factor);
}
void CountingDevice::add_bias(Tensor x, Tensor bias) {
  counts_.biases += numbers(x);
  ForwardingDevice::add_bias(x, bias);
}
void CountingDevice::bias_gradient(Tensor dy, Tensor dbias) {
  counts_.biases += numbers(dy);
  ForwardingDevice::bias_gradient(dy, dbias);
}
void CountingDevice::copy_heads(const CopyHeadsArgs& args) {
  if (args.reduce) counts_.additions += static_cast<double>(args.src.rows * args.n_heads * args.dim);
  ForwardingDevice::copy_heads(args);
}
void CountingDevice::gate_forward(const GateArgs& args) {
  counts_.additions += numbers(args.out) * (args.alpha ? 2 : 1);
  ForwardingDevice::gate_forward(args);
}
void CountingDevice::gate_backward(const GateGradArgs& args) {
  counts_.additions += 3 * numbers(args.dout);
  ForwardingDevice::gate_backward(args);
}
void CountingDevice::norm_forward(const NormArgs& args) {
  const auto d = static_cast<double>(args.weight.cols);
  counts_.norms += numbers(args.x) / d * norm_of(args.kind, d);
  ForwardingDevice::norm_forward(args);
}
void CountingDevice::norm_backward(const NormGradArgs& args) {
  const auto d = static_cast<double>(args.forward.weight.cols);
  counts_.norms += numbers(args.dy) / d * (norm_back(args.forward.kind, d) + (args.accumulate_dx ? d : 0));
  ForwardingDevice::norm_backward(args);
}
void CountingDevice::rope(const RopeArgs& args) {
  counts_.rotation += 6 * static_cast<double>(args.x.rows * args.n_heads * args.cos.cols);
  ForwardingDevice::rope(args);
}
void CountingDevice::swiglu_forward(Tensor gate, Tensor up, Tensor out) {
  counts_.activations += 4 * numbers(out);
  ForwardingDevice::swiglu_forward(gate, up, out);
}
void CountingDevice::swiglu_backward(Tensor gate, Tensor up, Tensor dout, Tensor dgate, Tensor dup) {
  counts_.activations += 11 * numbers(dout);
  ForwardingDevice::swiglu_backward(gate, up, dout, dgate, dup);
}
void CountingDevice::embedding_backward(Tensor ids, Tensor dout, Tensor dtable) {
  counts_.additions += numbers(dout);
  ForwardingDevice::embedding_backward(ids, dout, dtable);
}
void CountingDevice::cross_entropy(const CrossEntropyArgs& args) {
  const auto rows = static_cast<double>(args.logits.rows), vocab = static_cast<double>(args.logits.cols);
  counts_.loss += rows * (3 * vocab + 2);
  if (args.gradient) counts_.loss += rows * (2 * vocab + 1);
  ForwardingDevice::cross_entropy(args);
}

void CountingDevice::attention_forward(const AttentionArgs& args) {
  const AttentionShape& s = args.shape;
  const auto heads = static_cast<double>(s.n_heads), rows = static_cast<double>(s.sequences * s.tokens);
  const double pairs = static_cast<double>(s.sequences) * pairs_of(0, s.tokens, s.window);
  counts_.core += 2 * heads * pairs * static_cast<double>(s.key_dim + s.value_dim);
  // Scale, less the largest, exp, sum; slope times distance, added. Then the head's output over the sum.
  counts_.softmax += heads * (pairs * (args.alibi_slopes ? 6 : 4) + rows * static_cast<double>(s.value_dim));
  ForwardingDevice::attention_forward(args);
}
void CountingDevice::attention_backward(const AttentionGradArgs& args) {
  const AttentionShape& s = args.forward.shape;
  const auto heads = static_cast<double>(s.n_heads), rows = static_cast<double>(s.sequences * s.tokens);
  const auto key = static_cast<double>(s.key_dim), value = static_cast<double>(s.value_dim);
  const double pairs = static_cast<double>(s.sequences) * pairs_of(0, s.tokens, s.window);
  // Q Kᵀ again, dO Vᵀ, dS K, dSᵀ Q; Pᵀ dO.
  counts_.core += 2 * heads * pairs * (key + value + key + key + value);
  counts_.softmax += heads * (pairs * (args.forward.alibi_slopes ? 8 : 6) + rows * 2 * value);
  ForwardingDevice::attention_backward(args);
}
void CountingDevice::attention_paged(const PagedAttentionArgs& args) {
  const KvPoolSpec& pool = args.pool->spec();
  const auto heads = static_cast<double>(args.n_heads), value = static_cast<double>(pool.value_dim);
  for (const PagedSequence& sequence : args.sequences) {
    const double pairs = pairs_of(sequence.first_position, sequence.n_rows, args.window);
    counts_.core += 2 * heads * pairs * static_cast<double>(pool.key_dim + pool.value_dim);
    counts_.softmax += heads * (pairs * (args.alibi_slopes ? 6 : 4) + static_cast<double>(sequence.n_rows) * value);
    if (!args.key_cos) continue;
    // Each cached key that any of the rows sees is rotated once.
    const int64_t end = sequence.first_position + sequence.n_rows;
    const int64_t begin = args.window > 0 ? std::max<int64_t>(0, sequence.first_position - args.window + 1) : 0;
    counts_.rotation += 6 * static_cast<double>((end - begin) * pool.kv_heads * args.key_cos.cols);
  }
  ForwardingDevice::attention_paged(args);
}

}  // namespace mfa
