// f32 to the types that we write.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/dtype.h"
#include "base/error.h"
#include "formats/half.h"
#include "formats/quant_blocks.h"

namespace mfa {
namespace {

void check_finite(float x) {
  if (!std::isfinite(x)) bad_input("[gguf] a weight, got {}, expected a finite number", x);
}

void store_half(float x, std::byte* dst) {
  const uint16_t bits = float_to_f16(x);
  if ((bits & 0x7fffu) >= 0x7c00u) bad_input("[gguf] a weight or scale, got {}, expected at most 65504 for f16", x);
  std::memcpy(dst, &bits, sizeof bits);
}

void encode_f32(const float* src, std::byte* dst) { std::memcpy(dst, src, sizeof *src); }
void encode_f16(const float* src, std::byte* dst) { store_half(*src, dst); }
void encode_bf16(const float* src, std::byte* dst) {
  const bf16 bits = to_bf16(*src);
  std::memcpy(dst, &bits, sizeof bits);
}

// The largest magnitude becomes 127. Halves are rounded away from zero, as ggml's roundf does. An inverse that
// overflows (all numbers below 2^-120) makes infinities: they are cut before they become integers.
void encode_q8_0(const float* src, std::byte* dst) {
  float most = 0;
  for (int i = 0; i < 32; ++i) most = std::max(most, std::fabs(src[i]));
  const float d = most / 127.0f, inverse = d == 0 ? 0.0f : 1.0f / d;
  store_half(d, dst);
  for (int i = 0; i < 32; ++i) {
    const float q = src[i] == 0 ? 0.0f : std::clamp(std::round(src[i] * inverse), -127.0f, 127.0f);
    dst[2 + i] = static_cast<std::byte>(static_cast<int8_t>(q));
  }
}

// The number of largest magnitude, with its sign, becomes −8; the first one where two are equal.
void encode_q4_0(const float* src, std::byte* dst) {
  float extreme = src[0];
  for (int i = 1; i < 32; ++i)
    if (std::fabs(src[i]) > std::fabs(extreme)) extreme = src[i];
  const float d = extreme / -8.0f, inverse = d == 0 ? 0.0f : 1.0f / d;
  store_half(d, dst);
  const auto quantized = [&](float x) {
    return static_cast<int>(x == 0 ? 8.0f : std::clamp(x * inverse + 8.5f, 0.0f, 15.0f));
  };
  for (int i = 0; i < 16; ++i) dst[2 + i] = static_cast<std::byte>(quantized(src[i]) | quantized(src[i + 16]) << 4);
}

using Encode = void (*)(const float* src, std::byte* dst);

Encode encoder(GgmlType type) {
  switch (type) {
    case GgmlType::f32:
      return encode_f32;
    case GgmlType::f16:
      return encode_f16;
    case GgmlType::bf16:
      return encode_bf16;
    case GgmlType::q8_0:
      return encode_q8_0;
    case GgmlType::q4_0:
      return encode_q4_0;
    default:
      return nullptr;
  }
}

}  // namespace

bool can_write(GgmlType type) { return encoder(type) != nullptr; }

void quantize(GgmlType type, std::span<const float> src, std::span<std::byte> dst) {
  const GgmlLayout layout = layout_of(type);
  const Encode encode = encoder(type);
  if (encode == nullptr)
    bad_input("[gguf] writing {} is not supported, expected F32, F16, BF16, Q8_0 or Q4_0", layout.name);
  const int64_t blocks = static_cast<int64_t>(src.size()) / layout.numbers;
  if (blocks * layout.numbers != static_cast<int64_t>(src.size()) ||
      blocks * layout.bytes != static_cast<int64_t>(dst.size()))
    bad_input("[gguf] a tensor of {} numbers, expected whole {} blocks of {}", src.size(), layout.name, layout.numbers);
  for (const float x : src) check_finite(x);
  for (int64_t i = 0; i < blocks; ++i) encode(src.data() + i * layout.numbers, dst.data() + i * layout.bytes);
}

}  // namespace mfa
