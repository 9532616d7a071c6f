// The training product: oneDNN's (gemm_onednn.cpp) or our own loop (gemm_loops.cpp); the build takes one of the two.
#pragma once

#include <memory>

#include "kernels/cpu/kernel_table.h"

namespace mfa {

class Gemm {
 public:
  explicit Gemm(const KernelTable& kernels);
  ~Gemm();
  // c = op(a) · op(b), or += . Strided tensors are used in place. f32 operands of bf16 products are rounded to scratch
  // that only grows; primitives are made once a shape, so that a step after the first makes nothing.
  void multiply(const MatmulArgs& args, Precision precision);
  // Whether bf16 products take operands as bf16; else these become f32 again first.
  bool reads_bf16() const;

 private:
  struct Engine;
  std::unique_ptr<Engine> engine_;
};

// c [m, n] = a [m, k] · b [k, n], 8-bit operands summed in 32 bits: the library's, to measure the machine by.
bool has_int8_product();
void multiply_int8(int64_t m, int64_t n, int64_t k, const uint8_t* a, const int8_t* b, int32_t* c);

}  // namespace mfa
