// RMSNorm and LayerNorm over runs of d columns.
#pragma once

#include <cmath>
#include <vector>

#include "kernels/device.h"
#include "kernels/reference/numbers.h"

namespace mfa::reference {

struct Moments {
  double mean, inverse;  // RMSNorm: 0 and 1/rms; LayerNorm: the mean and 1/sd
};

template <class Real>
Moments moments(const NormArgs& a, const Real* x) {
  const int64_t d = a.weight.cols;
  double mean = 0, square = 0;
  for (int64_t i = 0; a.kind == NormKind::layer && i < d; ++i) mean += x[i] / static_cast<double>(d);
  for (int64_t i = 0; i < d; ++i) square += (x[i] - mean) * (x[i] - mean);
  return {mean, 1 / std::sqrt(square / static_cast<double>(d) + a.eps)};
}

template <class Real>
void norm_forward(const NormArgs& a) {
  const int64_t d = a.weight.cols, groups = a.x.cols / d;
  const Real* weight = a.weight.ptr<Real>();
  for (int64_t r = 0; a.base && r < a.x.rows; ++r)
    for (int64_t i = 0; i < a.x.cols; ++i) a.x.row<Real>(r)[i] = a.base.row<Real>(r)[i] + a.branch.row<Real>(r)[i];
  for (int64_t r = 0; r < a.x.rows; ++r)
    for (int64_t g = 0; g < groups; ++g) {
      const Real* x = a.x.row<Real>(r) + g * d;
      const Moments m = moments(a, x);
      for (int64_t i = 0; i < d; ++i) {
        const double bias = a.bias ? a.bias.ptr<Real>()[i] : 0;
        store(a.y.data, a.y.type, r * a.y.stride + g * d + i, (x[i] - m.mean) * m.inverse * weight[i] + bias);
      }
      Real* statistics = a.statistics.row<Real>(r);
      if (a.kind == NormKind::rms) {
        statistics[g] = static_cast<Real>(m.inverse);
      } else {
        statistics[2 * g] = static_cast<Real>(m.mean);
        statistics[2 * g + 1] = static_cast<Real>(m.inverse);
      }
    }
}

// With x̂ = (x − mean) · inverse and u = dy ⊙ weight:
//   dx = inverse · (u − mean(u) − x̂ mean(u ⊙ x̂))   (RMSNorm has no mean(u)),   dweight = Σ dy ⊙ x̂,   dbias = Σ dy
// The moments are computed anew, so that this twin also checks what a fast forward saved.
template <class Real>
void norm_backward(const NormGradArgs& args) {
  const NormArgs& a = args.forward;
  const int64_t d = a.weight.cols, groups = a.x.cols / d;
  std::vector<double> x_hat(d), u(d), dweight(d), dbias(d);
  for (int64_t r = 0; r < a.x.rows; ++r)
    for (int64_t g = 0; g < groups; ++g) {
      const Real* x = a.x.row<Real>(r) + g * d;
      const Real* dy = args.dy.row<Real>(r) + g * d;
      Real* dx = args.dx.row<Real>(r) + g * d;
      const Moments m = moments(a, x);
      double mean_u = 0, mean_ux = 0;
      for (int64_t i = 0; i < d; ++i) {
        x_hat[i] = (x[i] - m.mean) * m.inverse;
        u[i] = static_cast<double>(dy[i]) * a.weight.ptr<Real>()[i];
        mean_u += u[i] / static_cast<double>(d);
        mean_ux += u[i] * x_hat[i] / static_cast<double>(d);
        dweight[i] += dy[i] * x_hat[i];
        dbias[i] += dy[i];
      }
      if (a.kind == NormKind::rms) mean_u = 0;
      for (int64_t i = 0; i < d; ++i) {
        const double gradient = m.inverse * (u[i] - mean_u - x_hat[i] * mean_ux);
        dx[i] = static_cast<Real>(args.accumulate_dx ? dx[i] + gradient : gradient);
      }
    }
  const auto add_to = [d](Tensor sum, const std::vector<double>& part) {
    for (int64_t i = 0; sum && i < d; ++i) sum.ptr<Real>()[i] = static_cast<Real>(sum.ptr<Real>()[i] + part[i]);
  };
  add_to(args.dweight, dweight);
  if (a.kind == NormKind::layer) add_to(args.dbias, dbias);
}

}  // namespace mfa::reference
