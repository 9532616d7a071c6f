#include "base/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace mfa {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(Bf16, EveryValueSurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const bf16 x{static_cast<uint16_t>(bits)};
    const float value = to_float(x);
    if (std::isnan(value))
      EXPECT_TRUE(std::isnan(to_float(to_bf16(value))));
    else
      ASSERT_EQ(to_bf16(value).bits, x.bits);
  }
}

TEST(Bf16, RoundsToNearestTiesToEven) {
  // bf16 has 7 bits of fraction: above 1 its neighbours are 2^-7 apart.
  EXPECT_EQ(to_float(to_bf16(1 + 0x1p-8f)), 1.0f);                    // tie, down to the even one
  EXPECT_EQ(to_float(to_bf16(1 + 0x3p-8f)), 1 + 0x1p-6f);             // tie, up to the even one
  EXPECT_EQ(to_float(to_bf16(1 + 0x1p-8f + 0x1p-23f)), 1 + 0x1p-7f);  // just above a tie
  EXPECT_EQ(to_float(to_bf16(1 + 0x3p-8f - 0x1p-23f)), 1 + 0x1p-7f);  // just below a tie
  EXPECT_EQ(to_float(to_bf16(-1 - 0x3p-8f)), -1 - 0x1p-6f);
}

TEST(Bf16, TheNearestOfBothNeighboursIsTaken) {
  for (uint32_t bits = 0x3f000000; bits < 0x3f020000; bits += 17) {
    const float x = std::bit_cast<float>(bits);
    const float rounded = to_float(to_bf16(x));
    const float below = std::bit_cast<float>(bits & 0xffff0000u),
                above = std::bit_cast<float>((bits & 0xffff0000u) + 0x10000u);
    ASSERT_TRUE(rounded == below || rounded == above);
    ASSERT_LE(std::abs(rounded - x), std::abs((rounded == below ? above : below) - x));
  }
}

TEST(Bf16, KeepsSpecialValues) {
  EXPECT_EQ(to_float(to_bf16(kInfinity)), kInfinity);
  EXPECT_EQ(to_float(to_bf16(-kInfinity)), -kInfinity);
  EXPECT_EQ(to_bf16(-0.0f).bits, 0x8000);
  EXPECT_EQ(to_float(to_bf16(std::numeric_limits<float>::max())), kInfinity)
      << "beyond the largest bf16, nearest is infinity";
  EXPECT_EQ(to_float(to_bf16(0x1p-133f)), 0x1p-133f) << "the smallest subnormal bf16";
}

TEST(Bf16, NanStaysNan) {
  // The last one has its payload in the lower half only: cut off, it would be infinity; rounded up, minus zero.
  for (const uint32_t bits : {0x7fc00000u, 0xffc00000u, 0x7f800001u, 0xff800001u, 0x7fffffffu, 0xffffffffu})
    EXPECT_TRUE(std::isnan(to_float(to_bf16(std::bit_cast<float>(bits))))) << std::hex << bits;
}

TEST(DType, SizesAndNames) {
  EXPECT_EQ(size_of(DType::f64), 8u);
  EXPECT_EQ(size_of(dtype_of<float>), sizeof(float));
  EXPECT_EQ(size_of(dtype_of<bf16>), sizeof(bf16));
  EXPECT_EQ(size_of(dtype_of<int32_t>), sizeof(int32_t));
  EXPECT_EQ(size_of(dtype_of<int8_t>), 1u);
  EXPECT_EQ(size_of(DType::f16), 2u);
  EXPECT_EQ(name_of(DType::bf16), "bf16");
  EXPECT_EQ(name_of(DType::u8), "u8");
}

}  // namespace
}  // namespace mfa
