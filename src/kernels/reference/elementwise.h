// Additions, copies, gates and lookups: one output number comes from a few input numbers.
#pragma once

#include <cmath>

#include "kernels/device.h"
#include "kernels/reference/numbers.h"

namespace mfa::reference {

template <class Real>
void add(Tensor dst, Tensor src) {
  for (int64_t r = 0; r < dst.rows; ++r)
    for (int64_t c = 0; c < dst.cols; ++c) dst.row<Real>(r)[c] += src.row<Real>(r)[c];
}

template <class Real>
void scale(Tensor x, double factor) {
  for (int64_t r = 0; r < x.rows; ++r)
    for (int64_t c = 0; c < x.cols; ++c) x.row<Real>(r)[c] = static_cast<Real>(x.row<Real>(r)[c] * factor);
}

template <class Real>
void add_bias(Tensor x, Tensor bias) {
  for (int64_t r = 0; r < x.rows; ++r)
    for (int64_t c = 0; c < x.cols; ++c) x.row<Real>(r)[c] += bias.ptr<Real>()[c];
}

template <class Real>
void bias_gradient(Tensor dy, Tensor dbias) {
  for (int64_t c = 0; c < dy.cols; ++c) {
    double sum = dbias.ptr<Real>()[c];
    for (int64_t r = 0; r < dy.rows; ++r) sum += dy.row<Real>(r)[c];
    dbias.ptr<Real>()[c] = static_cast<Real>(sum);
  }
}

template <class Real>
void copy_heads(const CopyHeadsArgs& a) {
  const auto source = [&](int64_t r, int64_t h, int64_t i) -> double {
    return a.src.row<Real>(r)[h * a.src_head_dim + a.src_offset + i];
  };
  const auto write = [&](int64_t r, int64_t h, int64_t i, double value) {
    Real& to = a.dst.row<Real>(r)[h * a.dst_head_dim + a.dst_offset + i];
    to = static_cast<Real>(a.accumulate ? to + value : value);
  };
  for (int64_t r = 0; r < a.src.rows; ++r)
    for (int64_t i = 0; i < a.dim; ++i) {
      if (!a.reduce) {
        for (int64_t h = 0; h < a.n_heads; ++h) write(r, h, i, source(r, a.broadcast ? 0 : h, i));
        continue;
      }
      double sum = 0;
      for (int64_t h = 0; h < a.n_heads; ++h) sum += source(r, h, i);
      write(r, 0, i, sum);
    }
}

// Column c of a gate belongs to channel c mod C of its group.
template <class Real>
double gate_alpha(Tensor alpha, int64_t c) {
  return alpha ? alpha.ptr<Real>()[c % alpha.cols] : 1;
}

template <class Real>
void gate_forward(const GateArgs& a) {
  for (int64_t r = 0; r < a.out.rows; ++r)
    for (int64_t c = 0; c < a.out.cols; ++c)
      a.out.row<Real>(r)[c] =
          static_cast<Real>(a.base.row<Real>(r)[c] + gate_alpha<Real>(a.alpha, c) * a.mixed.row<Real>(r)[c]);
}

template <class Real>
void gate_backward(const GateGradArgs& a) {
  for (int64_t channel = 0; a.dalpha && channel < a.dalpha.cols; ++channel) {
    double sum = a.dalpha.ptr<Real>()[channel];
    for (int64_t r = 0; r < a.dout.rows; ++r)
      for (int64_t c = channel; c < a.dout.cols; c += a.dalpha.cols)
        sum += static_cast<double>(a.dout.row<Real>(r)[c]) * a.mixed.row<Real>(r)[c];
    a.dalpha.ptr<Real>()[channel] = static_cast<Real>(sum);
  }
  for (int64_t r = 0; r < a.dout.rows; ++r)
    for (int64_t c = 0; c < a.dout.cols; ++c)
      a.dmixed.row<Real>(r)[c] = static_cast<Real>(a.dout.row<Real>(r)[c] * gate_alpha<Real>(a.alpha, c));
}

inline double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

template <class Real>
void swiglu_forward(Tensor gate, Tensor up, Tensor out) {
  for (int64_t r = 0; r < out.rows; ++r)
    for (int64_t c = 0; c < out.cols; ++c) {
      const double g = gate.row<Real>(r)[c];
      store(out.data, out.type, r * out.stride + c, g * sigmoid(g) * up.row<Real>(r)[c]);
    }
}

// silu'(g) = σ(g) (1 + g (1 − σ(g)))
template <class Real>
void swiglu_backward(Tensor gate, Tensor up, Tensor dout, Tensor dgate, Tensor dup) {
  for (int64_t r = 0; r < dout.rows; ++r)
    for (int64_t c = 0; c < dout.cols; ++c) {
      const double g = gate.row<Real>(r)[c], u = up.row<Real>(r)[c], d = dout.row<Real>(r)[c], s = sigmoid(g);
      store(dgate.data, dgate.type, r * dgate.stride + c, d * u * s * (1 + g * (1 - s)));
      store(dup.data, dup.type, r * dup.stride + c, d * g * s);
    }
}

template <class Real>
void embedding_forward(Tensor ids, Tensor table, Tensor out) {
  for (int64_t r = 0; r < out.rows; ++r)
    for (int64_t c = 0; c < out.cols; ++c) out.row<Real>(r)[c] = table.row<Real>(ids.ptr<int32_t>()[r])[c];
}

template <class Real>
void embedding_backward(Tensor ids, Tensor dout, Tensor dtable) {
  for (int64_t r = 0; r < dout.rows; ++r)
    for (int64_t c = 0; c < dout.cols; ++c) dtable.row<Real>(ids.ptr<int32_t>()[r])[c] += dout.row<Real>(r)[c];
}

}  // namespace mfa::reference
