// Attention over whole sequences, forward and backward, one query row at a time. O(tokens) of memory a thread.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/thread_team.h"
#include "kernels/attention_args.h"
#include "kernels/reference/numbers.h"

namespace mfa::reference {

template <class A, class B>
double dot(const A* a, const B* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

// Logits become probabilities in place.
struct Softmax {
  double largest, lse;
};
inline Softmax softmax(std::vector<double>& s) {
  const double largest = *std::max_element(s.begin(), s.end());
  double sum = 0;
  for (const double x : s) sum += std::exp(x - largest);
  for (double& x : s) x = std::exp(x - largest) / sum;
  return {largest, largest + std::log(sum)};
}

// One head of one sequence.
template <class Real>
struct AttentionHead {
  const AttentionArgs& args;
  int64_t sequence, head;

  const AttentionShape& shape() const { return args.shape; }
  int64_t kv_head() const { return head / (shape().n_heads / shape().kv_heads); }
  int64_t row(int64_t token) const { return sequence * shape().tokens + token; }

  // An operand or not.
  std::vector<double> query(int64_t i) const {
    std::vector<double> q(shape().key_dim);
    const int64_t first = row(i) * args.q.stride + head * shape().key_dim;
    for (int64_t c = 0; c < shape().key_dim; ++c) q[c] = load(args.q.data, args.q.type, first + c);
    return q;
  }
  Real* output_like(Tensor x, int64_t i) const { return x.row<Real>(row(i)) + head * shape().value_dim; }
  const Real* key(int64_t j) const { return args.k.row<Real>(row(j)) + kv_head() * shape().key_dim; }
  const Real* value(int64_t j) const { return args.v.row<Real>(row(j)) + kv_head() * shape().value_dim; }

  int64_t first_seen(int64_t i) const {
    int64_t lo = shape().window > 0 ? std::max<int64_t>(0, i - shape().window + 1) : 0;
    if (args.doc_start) lo = std::max<int64_t>(lo, args.doc_start.ptr<int32_t>()[row(i)]);
    return lo;
  }

  // s_ij of j = first_seen(i) … i, with q = query(i).
  std::vector<double> logits(int64_t i, const std::vector<double>& q) const {
    const double slope = args.alibi_slopes ? args.alibi_slopes.ptr<Real>()[head] : 0;
    std::vector<double> s;
    for (int64_t j = first_seen(i); j <= i; ++j)
      s.push_back(shape().scale * dot(q.data(), key(j), shape().key_dim) -
                  slope * static_cast<double>(i - j));
    return s;
  }

  void forward() const {
    std::vector<double> out(shape().value_dim);
    for (int64_t i = 0; i < shape().tokens; ++i) {
      const int64_t lo = first_seen(i);
      std::vector<double> p = logits(i, query(i));
      const Softmax result = softmax(p);
      std::fill(out.begin(), out.end(), 0.0);
      for (int64_t j = lo; j <= i; ++j)
        for (int64_t c = 0; c < shape().value_dim; ++c) out[c] += p[j - lo] * value(j)[c];
      const int64_t at = row(i) * args.out.stride + head * shape().value_dim;
      for (int64_t c = 0; c < shape().value_dim; ++c) store(args.out.data, args.out.type, at + c, out[c]);
      args.lse.row<Real>(row(i))[head] = static_cast<Real>(result.lse);
      if (args.max_logit) args.max_logit.row<Real>(row(i))[head] = static_cast<Real>(result.largest);
    }
  }

  // With p the probabilities, dp_j = dout · v_j and δ = Σ_j p_j dp_j:  ds_j = p_j (dp_j − δ),
  //   dq = scale Σ_j ds_j k_j,   dk_j += scale ds_j q,   dv_j += p_j dout.
  // dk and dv [tokens][dim] sum over the query heads of one KV head. The probabilities are computed anew, so that this
  // twin does not lean on the out and lse that forward saved.
  void backward(const AttentionGradArgs& grad, std::vector<double>& dk, std::vector<double>& dv) const {
    const int64_t key_dim = shape().key_dim, value_dim = shape().value_dim;
    std::vector<double> dq(key_dim);
    for (int64_t i = 0; i < shape().tokens; ++i) {
      const int64_t lo = first_seen(i);
      const std::vector<double> q = query(i);
      const Real* dout = output_like(grad.dout, i);
      std::vector<double> p = logits(i, q);
      softmax(p);
      double delta = 0;
      std::vector<double> dp(p.size());
      for (int64_t j = lo; j <= i; ++j) {
        dp[j - lo] = dot(dout, value(j), value_dim);
        delta += p[j - lo] * dp[j - lo];
      }
      std::fill(dq.begin(), dq.end(), 0.0);
      for (int64_t j = lo; j <= i; ++j) {
        const double ds = shape().scale * p[j - lo] * (dp[j - lo] - delta);
        for (int64_t c = 0; c < key_dim; ++c) {
          dq[c] += ds * key(j)[c];
          dk[j * key_dim + c] += ds * q[c];
        }
        for (int64_t c = 0; c < value_dim; ++c) dv[j * value_dim + c] += p[j - lo] * dout[c];
      }
      std::copy(dq.begin(), dq.end(), grad.dq.row<Real>(row(i)) + head * key_dim);
    }
  }
};

template <class Real>
void attention_forward(const AttentionArgs& args) {
  const int64_t heads = args.shape.n_heads;
  parallel_for(args.shape.sequences * heads, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) AttentionHead<Real>{args, task / heads, task % heads}.forward();
  });
}

template <class Real>
void write_kv_gradient(Tensor gradient, const std::vector<double>& sums, int64_t first_row, int64_t first_col,
                       int64_t dim, bool accumulate) {
  for (int64_t i = 0; i < static_cast<int64_t>(sums.size()); ++i) {
    Real& to = gradient.row<Real>(first_row + i / dim)[first_col + i % dim];
    to = static_cast<Real>(accumulate ? to + sums[i] : sums[i]);
  }
}

// One task a (sequence, KV head): its dk and dv belong to nobody else.
template <class Real>
void attention_backward(const AttentionGradArgs& grad) {
  const AttentionShape& shape = grad.forward.shape;
  const int64_t group = shape.n_heads / shape.kv_heads;
  parallel_for(shape.sequences * shape.kv_heads, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t sequence = task / shape.kv_heads, kv_head = task % shape.kv_heads;
      std::vector<double> dk(shape.tokens * shape.key_dim), dv(shape.tokens * shape.value_dim);
      for (int64_t h = kv_head * group; h < (kv_head + 1) * group; ++h)
        AttentionHead<Real>{grad.forward, sequence, h}.backward(grad, dk, dv);
      const int64_t row = sequence * shape.tokens;
      write_kv_gradient<Real>(grad.dk, dk, row, kv_head * shape.key_dim, shape.key_dim, grad.accumulate_kv);
      write_kv_gradient<Real>(grad.dv, dv, row, kv_head * shape.value_dim, shape.value_dim, grad.accumulate_kv);
    }
  });
}

}  // namespace mfa::reference
