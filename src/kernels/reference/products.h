// Matrix products: the training one, and the inference one over a packed weight.
#pragma once

#include <vector>

#include "kernels/device.h"
#include "kernels/reference/numbers.h"

namespace mfa::reference {

// c_ij (+)= Σ_k a_ik b_kj
template <class Real>
void matmul(const MatmulArgs& args, Precision precision) {
  const auto& [a, b, c, transpose_a, transpose_b, accumulate, same_a, reuse_b] = args;
  (void)same_a, (void)reuse_b;  // nothing is kept from call to call
  const int64_t inner = transpose_a ? a.rows : a.cols;
  const int64_t a_row = transpose_a ? 1 : a.stride, a_col = transpose_a ? a.stride : 1;
  const int64_t b_row = transpose_b ? 1 : b.stride, b_col = transpose_b ? b.stride : 1;
  const auto operand = [precision](Tensor t, int64_t i) {
    const double x = load(t.data, t.type, i);
    return precision == Precision::bf16 ? rounded_to_bf16(x) : x;
  };
  for (int64_t i = 0; i < c.rows; ++i)
    for (int64_t j = 0; j < c.cols; ++j) {
      double sum = accumulate ? c.row<Real>(i)[j] : 0;
      for (int64_t k = 0; k < inner; ++k) sum += operand(a, i * a_row + k * a_col) * operand(b, k * b_row + j * b_col);
      c.row<Real>(i)[j] = static_cast<Real>(sum);
    }
}

// The weight as it was, rounded to the storage type: [out][in].
class PlainWeight : public PackedWeight {
 public:
  PlainWeight(Tensor w, DType storage) : storage_(storage), data_(w.size() * size_of(storage)) {
    out = w.rows;
    in = w.cols;
    convert({data_.data(), storage, w.rows, w.cols, w.cols}, w);
  }
  size_t bytes() const override { return data_.size(); }
  DType storage() const { return storage_; }
  double at(int64_t o, int64_t i) const { return load(data_.data(), storage_, o * in + i); }

 private:
  DType storage_;
  std::vector<std::byte> data_;
};

// y_ro = Σ_i x_ri w_oi
template <class Real>
void linear(Tensor x, const PlainWeight& w, Tensor y, Precision precision) {
  const bool rounds = precision == Precision::bf16 && w.storage() == DType::bf16;
  for (int64_t r = 0; r < x.rows; ++r)
    for (int64_t o = 0; o < w.out; ++o) {
      double sum = 0;
      for (int64_t i = 0; i < w.in; ++i) {
        const double xi = x.row<Real>(r)[i];
        sum += (rounds ? rounded_to_bf16(xi) : xi) * w.at(o, i);
      }
      y.row<Real>(r)[o] = static_cast<Real>(sum);
    }
}

}  // namespace mfa::reference
