// The loss at one end of a training step and the update at the other.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/device.h"
#include "kernels/reference/numbers.h"

namespace mfa::reference {

// loss = log Σ_j exp(z_j) − z_target;   dz = gradient_scale · (softmax(z) − onehot(target))
template <class Real>
void cross_entropy(const CrossEntropyArgs& a) {
  const int64_t vocab = a.logits.cols;
  for (int64_t r = 0; r < a.logits.rows; ++r) {
    const Real* z = a.logits.row<Real>(r);
    const int32_t target = a.targets.ptr<int32_t>()[r];
    const double largest = *std::max_element(z, z + vocab);
    double sum = 0;
    for (int64_t j = 0; j < vocab; ++j) sum += std::exp(z[j] - largest);
    const double lse = largest + std::log(sum);
    a.losses.ptr<Real>()[r] = static_cast<Real>(target < 0 ? 0 : lse - z[target]);
    if (!a.gradient) continue;
    for (int64_t j = 0; j < vocab; ++j) {
      const double gradient = target < 0 ? 0 : std::exp(z[j] - lse) - (j == target ? 1 : 0);
      store(a.gradient.data, a.gradient.type, r * a.gradient.stride + j, a.gradient_scale * gradient);
    }
  }
}

template <class Real>
double sum_of_squares(Tensor x) {
  double sum = 0;
  for (int64_t r = 0; r < x.rows; ++r)
    for (int64_t c = 0; c < x.cols; ++c) sum += static_cast<double>(x.row<Real>(r)[c]) * x.row<Real>(r)[c];
  return sum;
}

template <class Real>
double sum(Tensor x) {
  double total = 0;
  for (int64_t r = 0; r < x.rows; ++r)
    for (int64_t c = 0; c < x.cols; ++c) total += x.row<Real>(r)[c];
  return total;
}

template <class Real>
double max_value(Tensor x) {
  double largest = -std::numeric_limits<double>::infinity();
  for (int64_t r = 0; r < x.rows; ++r)
    for (int64_t c = 0; c < x.cols; ++c) {
      const double value = x.row<Real>(r)[c];
      if (std::isnan(value)) return value;
      largest = std::max(largest, value);
    }
  return largest;
}

template <class Real>
void adamw(const AdamWArgs& a) {
  const double correction1 = 1 - std::pow(a.beta1, static_cast<double>(a.step));
  const double correction2 = 1 - std::pow(a.beta2, static_cast<double>(a.step));
  for (int64_t i = 0; i < a.p.cols; ++i) {
    Real &p = a.p.ptr<Real>()[i], &m = a.m.ptr<Real>()[i], &v = a.v.ptr<Real>()[i];
    const double g = a.g.ptr<Real>()[i] * a.grad_scale;
    m = static_cast<Real>(a.beta1 * m + (1 - a.beta1) * g);
    v = static_cast<Real>(a.beta2 * v + (1 - a.beta2) * g * g);
    p = static_cast<Real>(p - a.lr * (m / correction1 / (std::sqrt(v / correction2) + a.eps) + a.decay * p));
  }
}

}  // namespace mfa::reference
