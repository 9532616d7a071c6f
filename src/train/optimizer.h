// AdamW over the flat buffers of a model.
#pragma once

#include <vector>

#include "model/parameter_store.h"

namespace mfa {

struct OptimizerOptions {
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8, decay = 0.1, clip = 1.0;  // clip 0: none
};

class Optimizer {
 public:
  // `gradients` has the table of `weights`.
  Optimizer(ParameterStore& weights, ParameterStore& gradients, const OptimizerOptions& options);

  // ‖gradients‖ over all parameters.
  double gradient_norm() const;
  // One step at `step` ≥ 1 with gradients scaled down to the clip; norm is gradient_norm().
  void update(int64_t step, double lr, double norm);
  // Moments, by the same names as the weights.
  ParameterStore& first_moment() { return m_; }
  ParameterStore& second_moment() { return v_; }

 private:
  struct Run {  // neighbours that are decayed alike
    int64_t offset, size;
    bool decay;
  };
  ParameterStore &weights_, &gradients_;
  ParameterStore m_, v_;
  OptimizerOptions options_;
  std::vector<Run> runs_;
};

}  // namespace mfa
