// A linear layer for training: y = x Wᵀ + bias, its backward, and the low-rank adapters that may sit on it.
#pragma once

#include <string>
#include <vector>

#include "model/layer_context.h"

namespace mfa {

// One matrix of the table, or several neighbours that read the same input (q, k, v; gate, up): one product serves them
// all. Adapters stay apart, one a matrix, and write to its columns of y.
class LinearLayer {
 public:
  struct Names {
    std::string first, last;            // weights
    std::string first_bias, last_bias;  // empty: none
  };

  LinearLayer() = default;
  LinearLayer(const LayerContext& context, Names names, Workspace& workspace);

  // y (=|+=) x Wᵀ + bias + (α/R) (x Aᵀ) Bᵀ. x [rows, in], y [rows, out]. 2·rows·in·out operations, and for an adapter
  // 2·rows·R·(in + out).
  void forward(Tensor x, Tensor y, bool accumulate = false);
  // dx = gradient of x, the one that forward() was given; parameters' gradients are added to. A frozen W costs nothing.
  void backward(Tensor x, Tensor dy, Tensor dx);

 private:
  struct Adapter {
    Tensor a, b, da, db;  // [R, in], [out, R] and their gradients
    int64_t begin = 0;    // its first column of y; it has b.rows of them
    Tensor hidden;        // (α/R) x Aᵀ [rows, R], saved
  };

  void add_adapters(Workspace& workspace);
  Tensor gradient_of(const std::string& first, const std::string& last) const;

  const LayerContext* context_ = nullptr;
  Names names_;
  std::vector<Adapter> adapters_;
  Tensor dhidden_;  // scratch [rows, R]
};

}  // namespace mfa
