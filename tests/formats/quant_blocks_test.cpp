#include "formats/quant_blocks.h"

#include <bit>
#include <cmath>
#include <limits>

#include "formats/half.h"
#include "formats/safetensors.h"
#include "test_files.h"

namespace mfa {
namespace {

constexpr GgmlType kQuantized[] = {GgmlType::q4_0, GgmlType::q4_1, GgmlType::q5_0,  GgmlType::q5_1,
                                   GgmlType::q8_0, GgmlType::q2_k, GgmlType::q3_k,  GgmlType::q4_k,
                                   GgmlType::q5_k, GgmlType::q6_k, GgmlType::iq4_nl};

const SafetensorsReader& golden() {
  static const SafetensorsReader reader(fs::path(MFA_FIXTURES) / "gguf/blocks.safetensors");
  return reader;
}

std::vector<float> floats(const std::string& name) {
  const StoredTensor& tensor = golden().tensors().at(name);
  std::vector<float> values(static_cast<size_t>(tensor.size()));
  to_f32(tensor, values);
  return values;
}

void expect_same_bits(std::span<const float> got, std::span<const float> expected, std::string_view what) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_EQ(std::bit_cast<uint32_t>(got[i]), std::bit_cast<uint32_t>(expected[i]))
        << what << " " << i << ": " << got[i] << ", expected " << expected[i];
}

TEST(QuantBlocks, ReadsEveryTypeAsGgmlDoes) {
  std::vector<GgmlType> types(std::begin(kQuantized), std::end(kQuantized));
  types.insert(types.end(), {GgmlType::f16, GgmlType::bf16});
  for (const GgmlType type : types) {
    const std::string name(layout_of(type).name);
    const std::vector<float> expected = floats(name + ".numbers");
    std::vector<float> got(expected.size());
    dequantize(type, golden().tensors().at(name + ".bytes").bytes, got);
    expect_same_bits(got, expected, name);
  }
}

TEST(QuantBlocks, WritesTheSameBytesAsGguf) {
  const std::vector<float> source = floats("source");
  for (const GgmlType type : {GgmlType::f16, GgmlType::bf16, GgmlType::q8_0, GgmlType::q4_0}) {
    const std::string name(layout_of(type).name);
    const auto expected = golden().tensors().at("written." + name).bytes;
    std::vector<std::byte> got(expected.size());
    quantize(type, source, got);
    for (size_t i = 0; i < got.size(); ++i)
      ASSERT_EQ(static_cast<int>(got[i]), static_cast<int>(expected[i])) << name << " byte " << i;
  }
}

TEST(QuantBlocks, RefusesWhatATypeCannotHold) {
  std::vector<float> source(32, 1.0f);
  std::vector<std::byte> bytes(34);
  expect_bad_input([&] { quantize(GgmlType::q4_k, source, bytes); }, "writing Q4_K is not supported");
  expect_bad_input([&] { quantize(GgmlType::q4_0, source, bytes); }, "expected whole Q4_0 blocks");
  source[3] = std::numeric_limits<float>::infinity();
  expect_bad_input([&] { quantize(GgmlType::q8_0, source, bytes); }, "got inf, expected a finite number");
  source[3] = 1e8f;  // a scale of 787401
  expect_bad_input([&] { quantize(GgmlType::q8_0, source, bytes); }, "at most 65504");
  std::vector<float> dst(31);
  expect_bad_input([&] { dequantize(GgmlType::q8_0, bytes, dst); }, "34 bytes of Q8_0, expected 31 numbers");
}

// The inverse of a subnormal scale is infinite; no number may become an arbitrary integer.
TEST(QuantBlocks, TinyNumbersStayTiny) {
  std::vector<float> source(32, 1e-42f), back(32);
  source[5] = 0;
  for (const GgmlType type : {GgmlType::q8_0, GgmlType::q4_0}) {
    std::vector<std::byte> bytes(static_cast<size_t>(layout_of(type).bytes));
    quantize(type, source, bytes);
    dequantize(type, bytes, back);
    for (const float x : back) EXPECT_EQ(x, 0.0f);
  }
}

TEST(Half, EveryHalfComesBack) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    if ((half & 0x7fff) <= 0x7c00) {
      EXPECT_EQ(float_to_f16(f16_to_float(half)), half);
    } else {
      EXPECT_TRUE(std::isnan(f16_to_float(float_to_f16(f16_to_float(half)))));
    }
  }
}

// Between two neighbours the nearer is taken, and the even one from the middle.
TEST(Half, RoundsToNearestEven) {
  for (uint32_t bits = 0; bits + 1 < 0x7c00; ++bits) {
    const float low = f16_to_float(static_cast<uint16_t>(bits)), high = f16_to_float(static_cast<uint16_t>(bits + 1));
    const float middle = low + (high - low) / 2;  // exact: one bit more
    EXPECT_EQ(float_to_f16(middle), bits + bits % 2);
    EXPECT_EQ(float_to_f16(std::nextafterf(middle, 0.0f)), bits);
    EXPECT_EQ(float_to_f16(std::nextafterf(middle, 1e9f)), bits + 1);
  }
  EXPECT_EQ(float_to_f16(65519.0f), 0x7bff);
  EXPECT_EQ(float_to_f16(65520.0f), 0x7c00);
}

}  // namespace
}  // namespace mfa
