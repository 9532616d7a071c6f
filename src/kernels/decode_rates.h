// How fast this machine does what decoding is made of, measured operation by operation on operands that no cache holds:
// what a prediction of decode time is computed from (capacity/decode_time.h). No model is run.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/device.h"

namespace mfa {

// Seconds at growing sizes. Between two of them a straight line; below the first its seconds, beyond the last the last
// line goes on.
struct RateCurve {
  std::vector<double> sizes, seconds;
  double at(double size) const;
  bool operator==(const RateCurve&) const = default;
};

// Device::linear, y = x W^T.
struct ProductRates {
  DType weights = DType::f32;
  RateCurve by_numbers;  // of W; one row
  RateCurve by_rows;     // of x, for W as large as the last size of by_numbers; [0] is one row
  bool operator==(const ProductRates&) const = default;
};

// What the cache holds, and hence how it is read.
enum class CacheKind {
  apart,    // keys and values
  rotated,  // values in keys, which are rotated as they are read (MFA-KR)
  shared,   // values in keys (MLA)
};

// Device::attention_paged for one token of one sequence: seconds that a thread spends on one cached token of one KV
// head, by the query heads that read it.
struct AttentionRates {
  DType kv = DType::f32;
  CacheKind kind = CacheKind::apart;
  int64_t dim = 0;     // of keys and values
  RateCurve alone;     // while the other threads wait
  RateCurve together;  // while all threads do the same
  bool operator==(const AttentionRates&) const = default;
};

// Operations between products and attention: seconds of one call on a row, by its numbers.
struct VectorRates {
  RateCurve norm;    // norm_forward
  RateCurve add;     // add
  RateCurve rope;    // rope, heads of 64
  RateCurve swiglu;  // swiglu_forward, by the numbers of its result
  RateCurve append;  // kv_append in bf16, keys and values
  bool operator==(const VectorRates&) const = default;
};

struct DecodeRates {
  int64_t threads = 0;  // 0: nothing is measured
  std::vector<ProductRates> products;
  std::vector<AttentionRates> attention;
  VectorRates vectors;
  bool operator==(const DecodeRates&) const = default;
};

// About `seconds` in all, and as much again to fill what is read.
DecodeRates measure_decode_rates(Device& device, double seconds = 12);

}  // namespace mfa
