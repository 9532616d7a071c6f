// Rotary positions: pairs of columns of each head turn by an angle that grows with the position.
#pragma once

#include "kernels/device.h"

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
  for (int64_t r = 0; r < a.x.rows; ++r) {
    const int32_t position = a.positions.ptr<int32_t>()[r];
    for (int64_t h = 0; h < a.n_heads; ++h)
      rotate(a.x.row<Real>(r) + h * a.head_dim + a.offset, a.cos.row<Real>(position), a.sin.row<Real>(position),
             a.cos.cols, a.inverse);
  }
}

}  // namespace mfa::reference
