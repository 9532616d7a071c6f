// Numbers of any floating type, one at a time, as double.
#pragma once

#include "base/dtype.h"
#include "base/error.h"
#include "base/tensor.h"

namespace mfa::reference {

inline double load(const std::byte* data, DType type, int64_t i) {
  switch (type) {
    case DType::f32:
      return reinterpret_cast<const float*>(data)[i];
    case DType::f64:
      return reinterpret_cast<const double*>(data)[i];
    case DType::bf16:
      return to_float(reinterpret_cast<const bf16*>(data)[i]);
    case DType::i32:
      return reinterpret_cast<const int32_t*>(data)[i];
    default:
      fail("[reference] number type, got {}, expected f32, f64, bf16 or i32", name_of(type));
  }
}

// A double becomes a bf16 by way of f32, as it would on its way through a model in f32.
inline void store(std::byte* data, DType type, int64_t i, double value) {
  switch (type) {
    case DType::f32:
      reinterpret_cast<float*>(data)[i] = static_cast<float>(value);
      return;
    case DType::f64:
      reinterpret_cast<double*>(data)[i] = value;
      return;
    case DType::bf16:
      reinterpret_cast<bf16*>(data)[i] = to_bf16(static_cast<float>(value));
      return;
    case DType::i32:
      reinterpret_cast<int32_t*>(data)[i] = static_cast<int32_t>(value);
      return;
    default:
      fail("[reference] number type, got {}, expected f32, f64, bf16 or i32", name_of(type));
  }
}

inline double rounded_to_bf16(double x) { return to_float(to_bf16(static_cast<float>(x))); }

inline void convert(Tensor dst, Tensor src) {
  for (int64_t r = 0; r < src.rows; ++r)
    for (int64_t c = 0; c < src.cols; ++c)
      store(dst.data, dst.type, r * dst.stride + c, load(src.data, src.type, r * src.stride + c));
}

inline void fill(Tensor x, double value) {
  for (int64_t r = 0; r < x.rows; ++r)
    for (int64_t c = 0; c < x.cols; ++c) store(x.data, x.type, r * x.stride + c, value);
}

}  // namespace mfa::reference
