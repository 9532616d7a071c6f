#include "formats/gguf.h"

#include <cstring>
#include <fstream>
#include <random>

#include "gguf_bytes.h"
#include "test_files.h"

namespace mfa {
namespace {

class Gguf : public FolderTest {
 protected:
  // Without write_file's fsync, which would be all the time that these tests take.
  fs::path put(const std::string& bytes) {
    std::ofstream(folder_ / "m.gguf", std::ios::binary | std::ios::trunc) << bytes;
    return folder_ / "m.gguf";
  }
  void refuse(const GgufBytes& bytes, const std::string& part) {
    const fs::path file = put(bytes.bytes());
    expect_bad_input([&] { GgufFile gguf(file); }, part);
    expect_bad_input([&] { GgufFile gguf(file); }, "m.gguf");
  }
};

// Every kind of value once, and two tensors whose order in the file differs from that of their names.
GgufBytes whole(uint32_t version = 3) {
  GgufBytes b;
  b.header(2, 10, version);
  b.text_pair("general.architecture", "llama").pair("u8", 0, uint8_t{200}).pair("i8", 1, int8_t{-3});
  b.pair("u64", 10, ~uint64_t{0}).pair("f32", 6, 0.5f).pair("f64", 12, 0.25).pair("yes", 7, uint8_t{1});
  b.list_pair("words", 8, 3).string("one").string("").string("three");
  b.list_pair("numbers", 5, 2).number(int32_t{-7}).number(int32_t{7});
  b.list_pair("nested", 9, 2).number(8u).number(uint64_t{1}).string("x").number(0u).number(uint64_t{2}).raw("ab");
  b.string("z").number(2u).number(uint64_t{3}).number(uint64_t{2}).number(0u).number(uint64_t{0});
  b.tensor("a", 32, 8, 32).pad();
  for (int i = 0; i < 6; ++i) b.number(static_cast<float>(i));
  return b.pad().raw(std::string(34, 'q'));
}

TEST_F(Gguf, ReadsEveryKindOfValue) {
  for (const uint32_t version : {2u, 3u}) {
    const GgufFile file(put(whole(version).bytes()));
    EXPECT_EQ(file.version(), version);
    EXPECT_EQ(file.get_string("general.architecture"), "llama");
    EXPECT_EQ(file.get_int("u8"), 200);
    EXPECT_EQ(file.get_int("i8"), -3);
    EXPECT_EQ(file.metadata().find("u64")->second.shown(), "18446744073709551615");
    EXPECT_EQ(file.get_double("f32"), 0.5);
    EXPECT_EQ(file.get_double("f64"), 0.25);
    EXPECT_EQ(file.get_double("u8"), 200);
    EXPECT_EQ(file.find_bool("yes"), true);
    EXPECT_EQ(file.get_strings("words"), (std::vector<std::string_view>{"one", "", "three"}));
    EXPECT_EQ(file.find_ints("numbers"), (std::vector<int64_t>{-7, 7}));
    EXPECT_EQ(file.find_doubles("numbers"), (std::vector<double>{-7, 7}));
    EXPECT_EQ(file.metadata().find("nested")->second.count(), 2u);
    EXPECT_EQ(file.find_int("absent"), std::nullopt);
  }
}

TEST_F(Gguf, LookupsNameTheKeyAndWhatItHolds) {
  const GgufFile file(put(whole().bytes()));
  expect_bad_input([&] { file.get_int("absent"); }, "the key absent is missing");
  expect_bad_input([&] { file.get_int("words"); }, "words, got list of 3 string, expected an integer");
  expect_bad_input([&] { file.get_int("u64"); }, "u64, got 18446744073709551615, expected an integer");
  expect_bad_input([&] { file.get_int("u8", 0, 100); }, "u8, got 200, expected 0 to 100");
  expect_bad_input([&] { file.get_string("f32"); }, "f32, got 0.5, expected a string");
  expect_bad_input([&] { file.get_strings("nested"); }, "expected a list of strings");
}

TEST_F(Gguf, ReadsTensorsWithTheSlowestDimFirst) {
  const GgufFile file(put(whole().bytes()));
  const GgufTensor* z = file.find_tensor("z");
  ASSERT_NE(z, nullptr);
  EXPECT_EQ(z->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(z->size(), 6);
  float last;
  std::memcpy(&last, z->bytes.data() + 20, 4);
  EXPECT_EQ(last, 5.0f);
  EXPECT_EQ(file.find_tensor("a")->type, GgmlType::q8_0);
  EXPECT_EQ(file.find_tensor("a")->size(), 32);
  EXPECT_EQ(file.find_tensor("a")->bytes[0], std::byte{'q'});
  EXPECT_EQ(file.find_tensor("b"), nullptr);
}

TEST_F(Gguf, RefusesWhatDoesNotAddUp) {
  const auto header = [](uint64_t tensors, uint64_t pairs) {
    GgufBytes b;
    return b.header(tensors, pairs);
  };
  refuse(GgufBytes().raw("GGUX").number(3u).number(uint64_t{0}).number(uint64_t{0}), "is not a GGUF file");
  refuse(GgufBytes().raw("GGUF"), "is not a GGUF file");
  refuse(GgufBytes().header(0, 0, 1), "GGUF version, got 1");
  refuse(GgufBytes().header(0, 0, 0x03000000), "big-endian");
  refuse(header(0, uint64_t{1} << 60), "metadata pairs, got");
  refuse(header(uint64_t{1} << 60, 0), "tensors, got");
  refuse(header(0, 1).number(~uint64_t{0}), "the file ends inside a metadata key");
  refuse(header(0, 1).string(""), "length of a metadata key, got 0");
  refuse(header(0, 1).pair("k", 13, 0u), "type of metadata \"k\", got 13");
  refuse(header(0, 1).string("k").number(8u).number(uint64_t{5}).raw("abc"), "it needs 5 bytes, 3 are left");
  refuse(header(0, 1).list_pair("k", 8, uint64_t{1} << 61), "claims 2305843009213693952 values");
  refuse(header(0, 1).list_pair("k", 10, uint64_t{1} << 61), "claims 2305843009213693952 values");
  refuse(header(0, 2).pair("k", 4, 1u).pair("k", 4, 1u), "metadata \"k\" stands there twice");
  refuse(header(0, 1).pair("general.alignment", 4, 24u), "expected a power of two");
  refuse(header(0, 1).pair("general.alignment", 4, 0u), "general.alignment, got 0");
  GgufBytes deep;
  deep.header(0, 1).string("k").number(9u);
  for (int i = 0; i < 1000; ++i) deep.number(9u).number(uint64_t{1});
  refuse(deep, "nests lists deeper than 4");
}

TEST_F(Gguf, RefusesTensorsThatDoNotLieInTheirFile) {
  const auto one = [](uint32_t type, uint64_t numbers, uint64_t offset, size_t data) {
    GgufBytes b;
    return b.header(1, 0).tensor("t", numbers, type, offset).pad().raw(std::string(data, 'x'));
  };
  EXPECT_NO_THROW(GgufFile(put(one(0, 8, 0, 32).bytes())));
  refuse(one(0, 8, 0, 31), "tensor \"t\" ends at 32, but there are only 31 bytes of data");
  refuse(one(0, 8, 7, 64), "offset of tensor \"t\", got 7, expected a multiple of 32");
  refuse(one(0, 8, ~uint64_t{31}, 64), "which no file has");
  refuse(one(0, 0, 0, 64), "size of a dim of tensor \"t\", got 0");
  refuse(one(0, uint64_t{1} << 62, 0, 64), "over 2^63 bytes");
  refuse(one(0, uint64_t{1} << 63, 0, 64), "size of a dim");
  refuse(one(2, 33, 0, 64), "expected whole Q4_0 blocks of 32");
  refuse(one(16, 256, 0, 640), "got 16 (IQ2_XXS), which is not supported");
  refuse(one(99, 256, 0, 640), "got 99 (unknown to ggml)");
  refuse(GgufBytes().header(1, 0).string("t").number(5u), "dims of tensor \"t\", got 5");
  refuse(GgufBytes().header(2, 0).tensor("a", 16, 0, 0).tensor("b", 8, 0, 32).pad().raw(std::string(96, 'x')),
         "tensor \"b\" begins at 32, inside another one, expected at least 64");
  refuse(GgufBytes().header(2, 0).tensor("a", 8, 0, 0).tensor("a", 8, 0, 32).pad().raw(std::string(96, 'x')),
         "tensor \"a\" stands there twice");
}

// The error names a key that the file chose: it must stay one short line of valid UTF-8.
TEST_F(Gguf, QuotesWhatTheFileSays) {
  const std::string key = "a\nb\xff" + std::string(1000, 'k');
  GgufBytes b;
  const fs::path file = put(b.header(0, 1).pair(key, 13, 0u).bytes());
  try {
    GgufFile gguf(file);
    ADD_FAILURE();
  } catch (const BadInput& error) {
    const std::string text = error.what();
    EXPECT_EQ(text.find('\n'), std::string::npos);
    EXPECT_EQ(text.find('\xff'), std::string::npos);
    EXPECT_LT(text.size(), 400u);
  }
}

TEST_F(Gguf, EveryTruncationIsRefused) {
  const std::string bytes = whole().bytes();
  for (size_t n = 0; n < bytes.size(); ++n) {
    const fs::path file = put(bytes.substr(0, n));
    EXPECT_THROW(GgufFile gguf(file), BadInput) << n << " bytes of " << bytes.size();
  }
}

// A mutated file loads or is refused; reading everything that loaded stays inside the file (the sanitizers watch).
TEST_F(Gguf, MutationsLoadOrAreRefused) {
  const std::string bytes = whole().bytes();
  std::mt19937 random(1);
  int loaded = 0;
  for (int i = 0; i < 1000; ++i) {
    std::string wrong = bytes;
    for (uint32_t n = random() % 3 + 1; n > 0; --n) wrong[random() % wrong.size()] = static_cast<char>(random());
    const fs::path path = put(wrong);
    try {
      const GgufFile file(path);
      size_t sum = 0;
      for (const auto& [key, value] : file.metadata()) {
        sum += value.shown().size();
        for (const std::string_view text : value.as_strings().value_or(std::vector<std::string_view>{}))
          sum += std::string(text).size();
        sum += value.as_ints() ? 1 : 0;
      }
      for (const auto& [name, tensor] : file.tensors())
        for (const std::byte b : tensor.bytes) sum += static_cast<size_t>(b);
      EXPECT_GT(sum, 0u);
      ++loaded;
    } catch (const BadInput&) {
    }
  }
  EXPECT_GT(loaded, 0);
  EXPECT_LT(loaded, 1000);
}

TEST(GgufShared, OpensPublishedVocabularies) {
  const fs::path folder = fs::path(MFA_SHARED) / "data/tokenizers";
  if (!path_exists(folder / "gpt-2.gguf")) GTEST_SKIP() << folder << " is not there";
  EXPECT_EQ(GgufFile(folder / "gpt-2.gguf").get_strings("tokenizer.ggml.tokens").size(), 50257u);
  EXPECT_EQ(GgufFile(folder / "gpt-2.gguf").get_strings("tokenizer.ggml.merges").size(), 50000u);
  EXPECT_EQ(GgufFile(folder / "llama-spm.gguf").find_doubles("tokenizer.ggml.scores")->size(), 32000u);
  EXPECT_EQ(GgufFile(folder / "deepseek-llm.gguf").get_string("tokenizer.ggml.pre"), "deepseek-llm");
}

}  // namespace
}  // namespace mfa
