// Plain types and blocks of 32 numbers; those of 256 are in quant_k_blocks.cpp.
#include "formats/quant_blocks.h"

#include <array>
#include <cstring>

#include "base/dtype.h"
#include "base/error.h"
#include "base/thread_team.h"
#include "formats/half.h"

namespace mfa {
namespace {

using Decode = void (*)(const std::byte* blocks, size_t count, float* dst);

template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

float half_at(const std::byte* at) { return f16_to_float(load<uint16_t>(at)); }

void decode_f32(const std::byte* block, float* dst) { *dst = load<float>(block); }
void decode_f16(const std::byte* block, float* dst) { *dst = half_at(block); }
void decode_bf16(const std::byte* block, float* dst) { *dst = to_float(load<bf16>(block)); }

// Byte i of the 16 holds number i in its low half and number i + 16 in its high half.
template <class F>
void decode_nibbles(const std::byte* nibbles, float* dst, F number) {
  for (int i = 0; i < 16; ++i) {
    const auto byte = static_cast<int>(nibbles[i]);
    dst[i] = number(byte & 15, i);
    dst[i + 16] = number(byte >> 4, i + 16);
  }
}

void decode_q4_0(const std::byte* block, float* dst) {
  const float d = half_at(block);
  decode_nibbles(block + 2, dst, [=](int q, int) { return d * static_cast<float>(q - 8); });
}

void decode_q4_1(const std::byte* block, float* dst) {
  const float d = half_at(block), m = half_at(block + 2);
  decode_nibbles(block + 4, dst, [=](int q, int) { return d * static_cast<float>(q) + m; });
}

// The fifth bit of number i is bit i of a word.
void decode_q5_0(const std::byte* block, float* dst) {
  const float d = half_at(block);
  const auto high = load<uint32_t>(block + 2);
  decode_nibbles(block + 6, dst, [=](int q, int i) {
    return d * static_cast<float>((q | static_cast<int>((high >> i & 1u) << 4)) - 16);
  });
}

void decode_q5_1(const std::byte* block, float* dst) {
  const float d = half_at(block), m = half_at(block + 2);
  const auto high = load<uint32_t>(block + 4);
  decode_nibbles(block + 8, dst,
                 [=](int q, int i) { return d * static_cast<float>(q | static_cast<int>((high >> i & 1u) << 4)) + m; });
}

void decode_q8_0(const std::byte* block, float* dst) {
  const float d = half_at(block);
  for (int i = 0; i < 32; ++i) dst[i] = static_cast<float>(load<int8_t>(block + 2 + i)) * d;
}

// A table of 16 values, denser around zero, instead of even steps.
void decode_iq4_nl(const std::byte* block, float* dst) {
  constexpr std::array<int, 16> values = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
  const float d = half_at(block);
  decode_nibbles(block + 2, dst, [=](int q, int) { return d * static_cast<float>(values[static_cast<size_t>(q)]); });
}

// A loop that the compiler sees through: a call for each plain number would cost more than the number.
template <GgmlType type, void (*decode)(const std::byte*, float*)>
void decode_all(const std::byte* blocks, size_t count, float* dst) {
  constexpr GgmlLayout layout = layout_of(type);
  for (size_t b = 0; b < count; ++b) decode(blocks + b * layout.bytes, dst + b * layout.numbers);
}

Decode decoder(GgmlType type) {
  switch (type) {
    case GgmlType::f32:
      return decode_all<GgmlType::f32, decode_f32>;
    case GgmlType::f16:
      return decode_all<GgmlType::f16, decode_f16>;
    case GgmlType::bf16:
      return decode_all<GgmlType::bf16, decode_bf16>;
    case GgmlType::q4_0:
      return decode_all<GgmlType::q4_0, decode_q4_0>;
    case GgmlType::q4_1:
      return decode_all<GgmlType::q4_1, decode_q4_1>;
    case GgmlType::q5_0:
      return decode_all<GgmlType::q5_0, decode_q5_0>;
    case GgmlType::q5_1:
      return decode_all<GgmlType::q5_1, decode_q5_1>;
    case GgmlType::q8_0:
      return decode_all<GgmlType::q8_0, decode_q8_0>;
    case GgmlType::q2_k:
      return decode_all<GgmlType::q2_k, dequantize_q2_k>;
    case GgmlType::q3_k:
      return decode_all<GgmlType::q3_k, dequantize_q3_k>;
    case GgmlType::q4_k:
      return decode_all<GgmlType::q4_k, dequantize_q4_k>;
    case GgmlType::q5_k:
      return decode_all<GgmlType::q5_k, dequantize_q5_k>;
    case GgmlType::q6_k:
      return decode_all<GgmlType::q6_k, dequantize_q6_k>;
    case GgmlType::iq4_nl:
      return decode_all<GgmlType::iq4_nl, decode_iq4_nl>;
  }
  return nullptr;
}

}  // namespace

void dequantize(GgmlType type, std::span<const std::byte> bytes, std::span<float> dst) {
  const GgmlLayout layout = layout_of(type);
  const auto numbers = static_cast<size_t>(layout.numbers), size = static_cast<size_t>(layout.bytes);
  const size_t blocks = dst.size() / numbers;
  if (dst.size() % numbers != 0 || bytes.size() / size != blocks || bytes.size() % size != 0)
    bad_input("[gguf] numbers in a tensor, got {} bytes of {}, expected {} numbers", bytes.size(), layout.name,
              dst.size());
  const Decode decode = decoder(type);
  parallel_for(static_cast<int64_t>(blocks), [&](int64_t begin, int64_t end) {
    const auto first = static_cast<size_t>(begin);
    decode(bytes.data() + first * size, static_cast<size_t>(end - begin), dst.data() + first * numbers);
  });
}

}  // namespace mfa
