#include "formats/gguf_writer.h"

#include <cstring>

#include "formats/gguf.h"
#include "formats/quant_blocks.h"
#include "test_files.h"

namespace mfa {
namespace {

class GgufWriting : public FolderTest {};

TEST_F(GgufWriting, ReadsBackWhatItWrote) {
  GgufWriter writer;
  writer.add_string("general.architecture", "llama");
  writer.add_u32("a", 7);
  writer.add_f32("b", 0.1f);
  writer.add_bool("c", true);
  writer.add_strings("d", std::vector<std::string>{"x", "", "yz"});
  writer.add_i32s("e", std::vector<int32_t>{-1, 2});
  writer.add_f32s("f", std::vector<float>{0.5f});
  const std::vector<GgufTensorToWrite> tensors = {{"odd", GgmlType::f32, {5}},  // 20 bytes: the next one needs padding
                                                  {"q", GgmlType::q8_0, {2, 32}},
                                                  {"h", GgmlType::f16, {2, 3}}};
  const fs::path path = folder_ / "m.gguf";
  const uint64_t bytes = writer.write(path, tensors, [](size_t tensor, std::span<float> dst) {
    for (size_t i = 0; i < dst.size(); ++i) dst[i] = static_cast<float>(i) + 100 * static_cast<float>(tensor);
  });
  EXPECT_EQ(bytes, fs::file_size(path));
  const GgufFile file(path);
  EXPECT_EQ(file.version(), 3u);
  EXPECT_EQ(file.get_string("general.architecture"), "llama");
  EXPECT_EQ(file.get_int("a"), 7);
  EXPECT_EQ(file.get_double("b"), 0.1f);
  EXPECT_EQ(file.find_bool("c"), true);
  EXPECT_EQ(file.get_strings("d"), (std::vector<std::string_view>{"x", "", "yz"}));
  EXPECT_EQ(file.find_ints("e"), (std::vector<int64_t>{-1, 2}));
  EXPECT_EQ(file.find_doubles("f"), (std::vector<double>{0.5}));
  EXPECT_EQ(file.find_tensor("q")->shape, (std::vector<int64_t>{2, 32}));
  std::vector<float> numbers(6);
  dequantize(GgmlType::f16, file.find_tensor("h")->bytes, numbers);
  EXPECT_EQ(numbers, (std::vector<float>{200, 201, 202, 203, 204, 205}));
  numbers.resize(5);
  dequantize(GgmlType::f32, file.find_tensor("odd")->bytes, numbers);
  EXPECT_EQ(numbers, (std::vector<float>{0, 1, 2, 3, 4}));
}

TEST_F(GgufWriting, LeavesNothingBehindWhenItFails) {
  const std::vector<GgufTensorToWrite> tensors = {{"t", GgmlType::q8_0, {33}}};
  const auto read = [](size_t, std::span<float>) {};
  expect_bad_input([&] { GgufWriter().write(folder_ / "m.gguf", tensors, read); }, "expected whole Q8_0 blocks of 32");
  const std::vector<GgufTensorToWrite> infinite = {{"t", GgmlType::q8_0, {32}}};
  const auto fill = [](size_t, std::span<float> dst) { dst[3] = std::numeric_limits<float>::infinity(); };
  expect_bad_input([&] { GgufWriter().write(folder_ / "m.gguf", infinite, fill); }, "expected a finite number");
  EXPECT_TRUE(fs::is_empty(folder_));
}

}  // namespace
}  // namespace mfa
