// ggml's K blocks: 256 numbers in groups of 16 or 32, whose scales are themselves small integers under one f16 scale.
#include <array>
#include <cstring>

#include "formats/half.h"
#include "formats/quant_blocks.h"

namespace mfa {
namespace {

float half_at(const std::byte* at) {
  uint16_t bits;
  std::memcpy(&bits, at, sizeof bits);
  return f16_to_float(bits);
}

int at(const std::byte* bytes, int i) { return static_cast<int>(bytes[i]); }

struct ScaleAndMin {
  int scale, min;
};

// Eight 6-bit scales and eight 6-bit minima in 12 bytes (Q4_K, Q5_K): groups 0..3 hold theirs in the low 6 bits of
// bytes 0..3 and 4..7, whose upper 2 bits, with the nibbles of bytes 8..11, make those of groups 4..7.
ScaleAndMin scale_and_min(const std::byte* packed, int group) {
  if (group < 4) return {at(packed, group) & 63, at(packed, group + 4) & 63};
  const int low = at(packed, group + 4);
  return {(low & 15) | (at(packed, group - 4) >> 6 << 4), (low >> 4) | (at(packed, group) >> 6 << 4)};
}

// Sixteen 6-bit scales, biased by 32, in 12 bytes (Q3_K).
int scale_q3(const std::byte* packed, int group) {
  const int low = group < 8 ? at(packed, group) & 15 : at(packed, group - 8) >> 4;
  const int high = at(packed, 8 + group % 4) >> (2 * (group / 4)) & 3;
  return (low | high << 4) - 32;
}

}  // namespace

// 16 bytes of 4-bit scales and minima, 64 bytes of 2-bit numbers, f16 d, f16 dmin. Numbers of one 128-half: byte l of
// 32 holds number l of each of four runs, 2 bits each.
void dequantize_q2_k(const std::byte* block, float* dst) {
  const float d = half_at(block + 80), dmin = half_at(block + 82);
  for (int i = 0; i < 256; ++i) {
    const int group = i / 16, half = i / 128, run = i % 128 / 32;
    const int q = at(block + 16, half * 32 + i % 32) >> (2 * run) & 3, sc = at(block, group);
    const float dl = d * static_cast<float>(sc & 15), ml = dmin * static_cast<float>(sc >> 4);
    dst[i] = dl * static_cast<float>(q) - ml;
  }
}

// 32 bytes of third bits (bit r of byte l: number l of run r), 64 bytes of low 2 bits, 12 bytes of scales, f16 d.
void dequantize_q3_k(const std::byte* block, float* dst) {
  const float d = half_at(block + 108);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, run = i % 128 / 32;
    const int low = at(block + 32, half * 32 + i % 32) >> (2 * run) & 3, high = at(block, i % 32) >> (i / 32) & 1;
    const float dl = d * static_cast<float>(scale_q3(block + 96, i / 16));
    dst[i] = dl * static_cast<float>(high ? low : low - 4);
  }
}

// f16 d, f16 dmin, 12 bytes of scales and minima, 128 bytes: byte l of 32 holds number l of two runs of 32.
void dequantize_q4_k(const std::byte* block, float* dst) {
  const float d = half_at(block), dmin = half_at(block + 2);
  for (int group = 0; group < 8; ++group) {
    const ScaleAndMin s = scale_and_min(block + 4, group);
    const float dl = d * static_cast<float>(s.scale), ml = dmin * static_cast<float>(s.min);
    for (int l = 0; l < 32; ++l) {
      const int q = at(block + 16, group / 2 * 32 + l) >> (group % 2 * 4) & 15;
      dst[group * 32 + l] = dl * static_cast<float>(q) - ml;
    }
  }
}

// As Q4_K, with 32 bytes of fifth bits (bit g of byte l: number l of group g) before the nibbles.
void dequantize_q5_k(const std::byte* block, float* dst) {
  const float d = half_at(block), dmin = half_at(block + 2);
  for (int group = 0; group < 8; ++group) {
    const ScaleAndMin s = scale_and_min(block + 4, group);
    const float dl = d * static_cast<float>(s.scale), ml = dmin * static_cast<float>(s.min);
    for (int l = 0; l < 32; ++l) {
      const int low = at(block + 48, group / 2 * 32 + l) >> (group % 2 * 4) & 15;
      const int q = low | (at(block + 16, l) >> group & 1) << 4;
      dst[group * 32 + l] = dl * static_cast<float>(q) - ml;
    }
  }
}

// 128 bytes of low nibbles, 64 of upper 2 bits, 16 int8 scales, f16 d. In each half of 128 numbers, run r of 32 has its
// nibbles in byte r % 2 · 32 + l (high ones for r ≥ 2) and its upper bits in bits 2r of byte l.
void dequantize_q6_k(const std::byte* block, float* dst) {
  const float d = half_at(block + 208);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, run = i % 128 / 32, l = i % 32;
    const int low = at(block, half * 64 + run % 2 * 32 + l) >> (run / 2 * 4) & 15;
    const int high = at(block + 128, half * 32 + l) >> (2 * run) & 3;
    const float dl = d * static_cast<float>(static_cast<int8_t>(block[192 + i / 16]));
    dst[i] = dl * static_cast<float>((low | high << 4) - 32);
  }
}

}  // namespace mfa
