#include "formats/safetensors.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>

#include "base/random.h"
#include "formats/mutations.h"
#include "formats/test_files.h"

namespace mfa {
namespace {

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& numbers) {
  return std::as_bytes(std::span(numbers));
}

class Safetensors : public FolderTest {
 protected:
  // A file with this header and this much data; no fsync, for speed.
  fs::path raw(const std::string& header, size_t data, const std::string& name = "x.safetensors") {
    std::string text(8, '\0');
    const uint64_t length = header.size();
    std::memcpy(text.data(), &length, sizeof(length));
    return put(text + header + std::string(data, '\x01'), name);
  }
  fs::path put(const std::string& text, const std::string& name = "x.safetensors") {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }
  // Refused, with `part` and the file's name in the message.
  void expect_refused(const fs::path& file, const std::string& part) {
    expect_bad_input([&] { SafetensorsReader reader(file); }, part);
    expect_bad_input([&] { SafetensorsReader reader(file); }, file.filename().string());
  }

  std::vector<float> floats_ = {1.0f, -2.5f, 3e-9f, 0.0f, 7.0f, 8.0f};
  std::vector<uint16_t> halves_ = {0x3c00, 0xc000, 0x0001, 0x7c00};
};

TEST_F(Safetensors, ReadsWhatItWrites) {
  const std::vector<int8_t> small = {-1, 2, -3};
  const std::vector<double> doubles = {0.1};
  const std::vector<TensorToWrite> written = {{"b.weight", DType::f32, {2, 3}, bytes_of(floats_)},
                                              {"a \"é\"", DType::i8, {3}, bytes_of(small)},
                                              {"scalar", DType::f64, {}, bytes_of(doubles)},
                                              {"half", DType::f16, {2, 2}, bytes_of(halves_)},
                                              {"empty", DType::bf16, {0, 5}, {}}};
  write_safetensors(folder_ / "m.safetensors", written, {{"step", "3"}});
  const SafetensorsReader reader(folder_ / "m.safetensors");
  ASSERT_EQ(reader.tensors().size(), written.size());
  for (const TensorToWrite& tensor : written) {
    const StoredTensor& stored = reader.get(tensor.name, tensor.shape);
    EXPECT_EQ(stored.type, tensor.type);
    EXPECT_TRUE(std::equal(stored.bytes.begin(), stored.bytes.end(), tensor.bytes.begin(), tensor.bytes.end()));
  }
  EXPECT_EQ(reader.metadata().at("format"), "pt");
  EXPECT_EQ(reader.metadata().at("step"), "3");
  EXPECT_EQ(reader.tensors().at("b.weight").size(), 6);
  EXPECT_EQ(reader.tensors().at("scalar").size(), 1);
  EXPECT_EQ(reader.tensors().at("empty").size(), 0);
  EXPECT_EQ(std::bit_cast<uintptr_t>(reader.tensors().at("b.weight").bytes.data()) % 64, 0u);
  EXPECT_TRUE(reader.has("half"));
  EXPECT_FALSE(reader.has("weight"));
  expect_bad_input([&] { reader.get("weight", {}); }, "tensor weight is missing");
  const std::vector<int64_t> other = {3, 2};
  expect_bad_input([&] { reader.get("b.weight", other); }, "shape of b.weight, got [2, 3], expected [3, 2]");
}

TEST_F(Safetensors, WriterRefusesWhatDoesNotAddUp) {
  const fs::path file = folder_ / "m.safetensors";
  const TensorToWrite good = {"a", DType::f32, {6}, bytes_of(floats_)};
  for (const TensorToWrite& bad :
       {TensorToWrite{"b", DType::f32, {5}, bytes_of(floats_)}, TensorToWrite{"b", DType::f32, {-6}, bytes_of(floats_)},
        TensorToWrite{"b", DType::f32, {1ll << 62, 1ll << 62}, {}}, good,
        TensorToWrite{"__metadata__", DType::f32, {6}, bytes_of(floats_)}}) {
    const std::vector<TensorToWrite> both = {good, bad};
    EXPECT_THROW(write_safetensors(file, both), BadInput);
    EXPECT_TRUE(fs::is_empty(folder_));
  }
}

TEST_F(Safetensors, ConvertsToF32) {
  const std::vector<bf16> brains = {to_bf16(1.5f), to_bf16(-3.0f), to_bf16(0.0f), to_bf16(1e30f)};
  const std::vector<double> doubles = {0.1, -1e-3, 5, 6};
  const std::vector<int32_t> ints = {1, 2, 3, 4};
  const std::vector<std::byte> odd(1);  // what follows begins at an odd address
  const std::vector<TensorToWrite> written = {{"odd", DType::u8, {1}, odd},
                                              {"f16", DType::f16, {4}, bytes_of(halves_)},
                                              {"bf16", DType::bf16, {4}, bytes_of(brains)},
                                              {"f64", DType::f64, {4}, bytes_of(doubles)},
                                              {"i32", DType::i32, {4}, bytes_of(ints)}};
  write_safetensors(folder_ / "m.safetensors", written);
  const SafetensorsReader reader(folder_ / "m.safetensors");
  const auto read = [&](const char* name) {
    std::vector<float> dst(4);
    to_f32(reader.tensors().at(name), dst);
    return dst;
  };
  EXPECT_EQ(read("f16"), (std::vector<float>{1.0f, -2.0f, 0x1p-24f, INFINITY}));
  EXPECT_EQ(read("bf16"), (std::vector<float>{1.5f, -3.0f, 0.0f, to_float(to_bf16(1e30f))}));
  EXPECT_EQ(read("f64"), (std::vector<float>{0.1f, -1e-3f, 5, 6}));
  expect_bad_input([&] { read("i32"); }, "got i32");
  std::vector<float> short_by_one(3);
  expect_bad_input([&] { to_f32(reader.tensors().at("f16"), short_by_one); }, "got 4, expected 3");
}

// Every f16 against the definition: (−1)^s · 2^(e−15) · 1.m, subnormals 2^−14 · 0.m. All are exact in f32.
TEST_F(Safetensors, ConvertsEveryHalf) {
  std::vector<uint16_t> all(1 << 16);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  const StoredTensor tensor{DType::f16, {1 << 16}, bytes_of(all)};
  std::vector<float> floats(all.size());
  to_f32(tensor, floats);
  for (size_t i = 0; i < all.size(); ++i) {
    const int exponent = (i >> 10) & 31, mantissa = i & 1023;
    double expected = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
    if (exponent == 31) expected = mantissa == 0 ? INFINITY : NAN;
    if (i >> 15) expected = -expected;
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(floats[i])) << i;
    } else {
      EXPECT_EQ(static_cast<double>(floats[i]), expected) << i;
      EXPECT_EQ(std::signbit(floats[i]), i >> 15 != 0) << i;
    }
  }
}

TEST_F(Safetensors, RefusesWhatDoesNotAddUp) {
  expect_refused(put(""), "only 0 bytes");
  expect_refused(put(std::string(8, '\xff')), "length of the header");
  expect_refused(put(std::string("\x05\0\0\0\0\0\0\0{}", 10)), "length of the header, got 5, expected at most 2");
  expect_refused(raw("[]", 0), "expected an object");
  expect_refused(raw("{", 0), "not valid JSON");
  expect_refused(raw(R"({"a":1})", 0), "expected an object");
  expect_refused(raw(R"({"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}})", 1), "got F8_E4M3");
  expect_refused(raw(R"({"a":{"dtype":"F32","shape":[1]}})", 4), "data_offsets is missing");
  expect_refused(raw(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", 4), "got 1 numbers");
  expect_refused(raw(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4), "shape, got -1");
  expect_refused(raw(R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", 4), "expected a whole number");
  expect_refused(raw(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4), "got 4 bytes");
  expect_refused(raw(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4), "expected 0 to 4");
  expect_refused(raw(R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[4,0]}})", 4), "expected 4 to 4");
  // 2^62 · 4 bytes wraps to 0.
  expect_refused(raw(R"({"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}})", 0), "got 0 bytes");
  expect_refused(raw(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},
                         "b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
                     3),
                 "overlap");
  expect_refused(raw(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
                         "b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
                     3),
                 "hole");
  expect_refused(raw(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 2), "got 2 bytes of data");
  expect_refused(raw(R"({"__metadata__":{"n":1}})", 0), "expected a string");
  expect_refused(raw(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
                         "a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                     2),
                 "twice");
  expect_refused(folder_ / "none.safetensors", "cannot open");
}

TEST_F(Safetensors, RefusesAHeaderOver100Megabytes) {
  const fs::path file = raw("{}", 0);
  const uint64_t length = 100'000'001;
  std::fstream(file, std::ios::in | std::ios::out | std::ios::binary).write(reinterpret_cast<const char*>(&length), 8);
  fs::resize_file(file, 200'000'000);  // sparse
  expect_refused(file, "got 100000001, expected at most 100000000");
}

// A parsed document takes up to 25 times the bytes of such headers: they must not be built.
TEST_F(Safetensors, RefusesAHeaderOfManyParts) {
  std::string empty_lists = "{\"a\":[", tensors = "{", metadata = "{\"__metadata__\":{";
  for (int i = 0; i < 4'000'000; ++i) empty_lists += "[],";
  for (int i = 0; i < 200'000; ++i)
    tensors += fmt::format(R"("{}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}},)", i);
  for (int i = 0; i < 1'000'000; ++i) metadata += fmt::format(R"("{}":"",)", i);
  for (const auto& [header, words] : {std::pair(empty_lists + "1]}", "over 100 keys and values"),
                                      {tensors + R"("x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})", "tensors"},
                                      {metadata + R"("x":""}})", "keys and values"}}) {
    const fs::path file = raw(header, 0);
    expect_refused_cheaply(header.size(), [&] { SafetensorsReader reader(file); });
    expect_refused(file, words);
  }
}

TEST_F(Safetensors, ReadsShards) {
  const std::vector<TensorToWrite> one = {{"a", DType::f32, {6}, bytes_of(floats_)}};
  const std::vector<TensorToWrite> two = {{"b", DType::f16, {4}, bytes_of(halves_)}};
  write_safetensors(folder_ / "1.safetensors", one, {});
  write_safetensors(folder_ / "2.safetensors", two, {});
  const auto index = [&](const std::string& map) {
    put("{\"weight_map\":" + map + "}", "model.safetensors.index.json");
  };
  index(R"({"a":"1.safetensors","b":"2.safetensors"})");
  EXPECT_EQ(SafetensorsReader(folder_).tensors().size(), 2u);
  EXPECT_EQ(SafetensorsReader(folder_ / "model.safetensors.index.json").tensors().at("b").size(), 4);

  index(R"({"a":"1.safetensors","b":"1.safetensors"})");
  expect_bad_input([&] { SafetensorsReader reader(folder_); }, "tensor b is not in 1.safetensors");
  index(R"({"a":"2.safetensors","b":"2.safetensors"})");
  expect_bad_input([&] { SafetensorsReader reader(folder_); }, "tensor a is not in 2.safetensors");
  fs::copy(folder_ / "1.safetensors", folder_ / "3.safetensors");
  index(R"({"a":"1.safetensors","c":"3.safetensors"})");
  expect_bad_input([&] { SafetensorsReader reader(folder_); }, "tensor a is already in another shard");
  for (const std::string name : {"../1.safetensors", "/etc/passwd", "..", "sub/1.safetensors", ""}) {
    index("{\"a\":\"" + name + "\"}");
    expect_bad_input([&] { SafetensorsReader reader(folder_); }, "expected a plain file name");
  }
  index("[]");
  expect_bad_input([&] { SafetensorsReader reader(folder_); }, "expected an object");

  // A single file goes before the index, as in transformers.
  write_safetensors(folder_ / "model.safetensors", one);
  EXPECT_EQ(SafetensorsReader(folder_).tensors().size(), 1u);
}

TEST_F(Safetensors, RefusesAFolderWithoutWeights) {
  expect_bad_input([&] { SafetensorsReader reader(folder_); }, "no model.safetensors");
}

// Whatever a damaged file holds, it is refused or read; every byte of what is read can be touched.
TEST_F(Safetensors, SurvivesDamage) {
  const std::vector<TensorToWrite> tensors = {{"layer.0.weight", DType::f32, {2, 3}, bytes_of(floats_)},
                                              {"layer.0.bias", DType::f16, {4}, bytes_of(halves_)},
                                              {"empty", DType::bf16, {0}, {}}};
  write_safetensors(folder_ / "good.safetensors", tensors, {{"key", "value"}});
  const std::string good = read_file(folder_ / "good.safetensors");
  const size_t data = bytes_of(floats_).size() + bytes_of(halves_).size();
  Random random(1);
  int refused = 0;
  const auto read = [&](const std::string& text) {
    try {
      const SafetensorsReader reader(put(text));
      for (const auto& [name, tensor] : reader.tensors()) checksum(tensor.bytes);
      return true;
    } catch (const BadInput&) {
      ++refused;
      return false;
    }
  };
  ASSERT_TRUE(read(good));
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(read(good.substr(0, random.below(good.size()))));
  for (int i = 0; i < 1000; ++i) {
    std::string damaged = good;
    const size_t at = random.below(good.size() - data);  // length and header: data may hold anything
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random.below(8)));
    read(damaged);
  }
  EXPECT_GT(refused, 1500);  // all truncations, and most flips: names, metadata and padding may change unseen
}

}  // namespace
}  // namespace mfa
