// A view of a matrix in some device's memory. It owns nothing, and only kernels/ may read through it.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>

#include "base/dtype.h"

namespace mfa {

// rows × cols numbers, row-major, `stride` numbers from one row to the next (≥ cols). A vector has one row.
// Everything in a Transformer is such a matrix once tokens are flattened into rows and heads into columns.
struct Tensor {
  std::byte* data = nullptr;
  DType type = DType::f32;
  int64_t rows = 0, cols = 0, stride = 0;

  explicit operator bool() const { return data != nullptr; }
  int64_t size() const { return rows * cols; }
  bool contiguous() const { return stride == cols || rows <= 1; }

  // Rows [begin, begin + count).
  Tensor slice_rows(int64_t begin, int64_t count) const {
    assert(begin >= 0 && count >= 0 && begin + count <= rows);
    return {at(begin * stride), type, count, cols, stride};
  }
  // Columns [begin, begin + count).
  Tensor slice_cols(int64_t begin, int64_t count) const {
    assert(begin >= 0 && count >= 0 && begin + count <= cols);
    return {at(begin), type, rows, count, stride};
  }
  // The same numbers with another shape; contiguous tensors only.
  Tensor reshape(int64_t new_rows, int64_t new_cols) const {
    assert(contiguous() && new_rows * new_cols == size());
    return {data, type, new_rows, new_cols, new_cols};
  }

  // For kernels/ only: the numbers themselves.
  template <class T>
  T* ptr() const {
    assert(size_of(type) == sizeof(T));
    return reinterpret_cast<T*>(data);
  }
  template <class T>
  T* row(int64_t r) const {
    return ptr<T>() + r * stride;
  }

 private:
  std::byte* at(int64_t element) const { return data + element * static_cast<int64_t>(size_of(type)); }
};

}  // namespace mfa
