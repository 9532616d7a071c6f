#include "train/optimizer.h"

#include <algorithm>
#include <cmath>

namespace mfa {

Optimizer::Optimizer(ParameterStore& weights, ParameterStore& gradients, const OptimizerOptions& options)
    : weights_(weights),
      gradients_(gradients),
      m_(weights.device(), weights.table()),
      v_(weights.device(), weights.table()),
      options_(options) {
  for (const ParameterSpec& spec : weights.table()) {
    if (runs_.empty() || runs_.back().decay != spec.decay) runs_.push_back({spec.offset, 0, spec.decay});
    runs_.back().size += spec.size();
  }
}

double Optimizer::gradient_norm() const { return std::sqrt(weights_.device().sum_of_squares(gradients_.flat())); }

void Optimizer::update(int64_t step, double lr, double norm) {
  const double scale = options_.clip > 0 ? std::min(1.0, options_.clip / (norm + 1e-6)) : 1.0;
  for (const Run& run : runs_)
    weights_.device().adamw({.p = weights_.flat().slice_cols(run.offset, run.size),
                             .g = gradients_.flat().slice_cols(run.offset, run.size),
                             .m = m_.flat().slice_cols(run.offset, run.size),
                             .v = v_.flat().slice_cols(run.offset, run.size),
                             .lr = lr,
                             .beta1 = options_.beta1,
                             .beta2 = options_.beta2,
                             .eps = options_.eps,
                             .decay = run.decay ? options_.decay : 0.0,
                             .grad_scale = scale,
                             .step = step});
}

}  // namespace mfa
