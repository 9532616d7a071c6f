// Rotary positions: pairs of columns of each head turn by an angle that grows with the position.
#pragma once

#include <algorithm>
#include <vector>

#include "kernels/device.h"
#include "kernels/reference/numbers.h"

namespace mfa::reference {

// (x_i, x_{i+half}) turns by the angle whose cosine and sine are cos_i and sin_i, for i < half.
template <class Number, class Real>
void rotate(Number* x, const Real* cos, const Real* sin, int64_t half, bool inverse) {
  for (int64_t i = 0; i < half; ++i) {
    const double a = x[i], b = x[i + half], c = cos[i], s = inverse ? -sin[i] : sin[i];
    x[i] = static_cast<Number>(a * c - b * s);
    x[i + half] = static_cast<Number>(a * s + b * c);
  }
}

template <class Real>
void rope(const RopeArgs& a) {
  const Tensor& out = a.out ? a.out : a.x;
  std::vector<double> head(static_cast<size_t>(a.head_dim));
  for (int64_t r = 0; r < a.x.rows; ++r) {
    const int32_t position = a.positions.ptr<int32_t>()[r];
    for (int64_t h = 0; h < a.n_heads; ++h) {
      const Real* x = a.x.row<Real>(r) + h * a.head_dim;
      std::copy_n(x, a.head_dim, head.begin());
      rotate(head.data() + a.offset, a.cos.row<Real>(position), a.sin.row<Real>(position), a.cos.cols, a.inverse);
      for (int64_t i = 0; i < a.head_dim; ++i)
        store(out.data, out.type, r * out.stride + h * a.head_dim + i, head[static_cast<size_t>(i)]);
    }
  }
}

}  // namespace mfa::reference
