// Writing one key or value vector into its cache page, in the page's type and layout (kv_layout.h).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/cpu/kv_layout.h"
#include "kernels/hadamard.h"

namespace mfa {
namespace {

// Where a vector goes: a page's head, one of its matrices, the place of the scales (i8 only) and the token's own place.
struct KvPlace {
  std::byte* head;
  const KvMatrix& matrix;
  int64_t scales, token;
  bool dims_in_lanes;  // the vector is a row of the matrix; else a lane of it
  bool rotated;        // stored as H x (hadamard.h)
};

constexpr int64_t kGroup = KvPoolSpec::kScaleGroup;  // numbers that are made ready at a time

// x[i] / scale to the nearest integer. The scale is rounded to bf16 first, so that its rounding costs no accuracy but
// a clipped end: |x| / scale ≤ 127 · (1 + 2^-8).
struct Int8Scale {
  bf16 stored;
  float value = 0;  // 0: all numbers are as good as zero
  Int8Scale(const float* x, int64_t n) {
    float largest = 0;
    for (int64_t i = 0; i < n; ++i) largest = std::max(largest, std::abs(x[i]));
    stored = to_bf16(largest / 127);
    value = largest > 1e-30f ? to_float(stored) : 0;
  }
  int8_t quantize(float x) const {
    const float q = value > 0 ? std::nearbyint(x / value) : 0;
    return static_cast<int8_t>(q > 127 ? 127 : q < -127 ? -127 : q == q ? q : 0);
  }
};

// Numbers [begin, end) of a vector, end − begin ≤ kGroup and begin a multiple of it, to their places. Runs of numbers
// lie at equal distances, so that no number asks the layout (which divides) for its place.
template <class Number>
inline void scatter(const Number* numbers, int64_t begin, int64_t end, const KvPlace& place) {
  const KvMatrix& m = place.matrix;
  const auto put = [&](int64_t byte, int64_t i) { std::memcpy(place.head + byte, numbers + i, sizeof(Number)); };
  if (place.dims_in_lanes) {  // half of a block's width at a time
    const int64_t half = m.width / 2;
    for (int64_t i = begin; i < end; i += half) {
      const int64_t block = i / m.width, lane = i % m.width, count = std::min(half, end - i);
      const int64_t first = m.number(block, place.token, lane);
      const int64_t step = count > 1 ? m.number(block, place.token, lane + 1) - first : 0;
      for (int64_t j = 0; j < count; ++j) put(first + j * step, i - begin + j);
    }
    return;
  }
  const int64_t block = place.token / m.width, lane = place.token % m.width,
                together = m.whole(block) ? m.together() : 1;
  const int64_t first = m.number(block, begin, lane), step = m.at(block, together) - m.at(block, 0);
  for (int64_t i = 0; i < end - begin; i += together)
    for (int64_t j = 0; j < together; ++j)
      put(first + i / together * step + j * static_cast<int64_t>(sizeof(Number)), i + j);
}

inline void append_int8(const float* x, int64_t begin, int64_t end, const KvPlace& place) {
  float numbers[kGroup];
  int8_t quantized[kGroup];
  const int64_t n = end - begin, tokens = place.dims_in_lanes ? place.matrix.inner : place.matrix.outer;
  std::copy(x, x + n, numbers);
  if (place.rotated) rotate_groups(numbers, n);
  const Int8Scale scale(numbers, n);
  std::memcpy(place.head + place.scales + (begin / kGroup * tokens + place.token) * KvPoolSpec::kScaleBytes,
              &scale.stored, sizeof scale.stored);
  for (int64_t i = 0; i < n; ++i) quantized[i] = scale.quantize(numbers[i]);
  scatter(quantized, begin, end, place);
}

// x [dim] f32. A cache line for every few numbers: the lines belong to 16 or more tokens together.
inline void append_vector(const KernelTable& kernels, const float* x, int64_t dim, const KvPlace& place) {
  for (int64_t begin = 0; begin < dim; begin += kGroup) {
    const int64_t end = std::min(dim, begin + kGroup);
    if (place.matrix.type == DType::f32) {
      scatter(x + begin, begin, end, place);
    } else if (place.matrix.type == DType::bf16) {
      uint16_t rounded[kGroup];
      kernels.f32_to_bf16(x + begin, rounded, end - begin);
      scatter(rounded, begin, end, place);
    } else {
      append_int8(x + begin, begin, end, place);
    }
  }
}

}  // namespace
}  // namespace mfa
