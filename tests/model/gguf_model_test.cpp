// Models through GGUF: what is exported opens as the same config and the same numbers.
#include <cmath>

#include "base/error.h"
#include "base/temporary_folder.h"
#include "formats/gguf.h"
#include "model/gguf_config.h"
#include "model/gguf_export.h"
#include "model/gguf_rope.h"
#include "model/model_folder.h"
#include "model/position.h"
#include "random_model.h"

namespace mfa {
namespace {

PresetOptions small() {
  PresetOptions o;
  o.width = 64;
  o.layers = 2;
  o.vocab = 40;
  o.context = 64;
  o.heads = 4;
  o.head_dim = 16;
  o.ffn = 96;
  return o;
}

fs::path export_random(const fs::path& folder, const ModelConfig& config, GgmlType type, const ParameterStore& store) {
  const fs::path file = folder / "m.gguf";
  export_gguf(file, config, type, GgufWriter(), [&](const ParameterSpec& spec, std::span<float> dst) {
    const std::vector<float> values = store.download(spec);
    std::copy(values.begin(), values.end(), dst.begin());
  });
  return file;
}

// The largest difference of any parameter, relative to the largest number of its tensor.
double apart(const ParameterStore& a, const ParameterStore& b) {
  double worst = 0;
  for (const ParameterSpec& spec : a.table()) {
    const std::vector<float> x = a.download(spec), y = b.download(b.spec(spec.name));
    double most = 0, difference = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      most = std::max<double>(most, std::abs(x[i]));
      difference = std::max<double>(difference, std::abs(x[i] - y[i]));
    }
    worst = std::max(worst, difference / most);
  }
  return worst;
}

void expect_round_trip(const ModelConfig& config, GgmlType type, double tolerance) {
  const std::unique_ptr<Device> device = make_reference_device();
  const TemporaryFolder folder;
  ParameterStore store(*device, config);
  test::randomise(store, 1);
  const fs::path file = export_random(folder.path(), config, type, store);
  ModelConfig back = load_config(file);
  for (size_t i = 0; i < back.layers.size(); ++i) back.layers[i].attention.preset = config.layers[i].attention.preset;
  EXPECT_EQ(back, config);
  ParameterStore read(*device, back);
  load_parameters(*open_weights(file), back, read);
  EXPECT_LE(apart(store, read), tolerance);
}

TEST(GgufModel, F32ComesBackExactlyInEveryLayout) {
  const auto with = [](const char* preset, auto&& change) {
    PresetOptions o = small();
    change(o);
    return make_preset(preset, o);
  };
  const auto nothing = [](PresetOptions&) {};
  for (const ModelConfig& config : {with("mha", nothing), with("gqa", [](PresetOptions& o) { o.kv_heads = 2; }),
                                    with("mqa", nothing), with("mha", [](PresetOptions& o) { o.tied = false; }),
                                    with("mha", [](PresetOptions& o) { o.qkv_bias = o.o_bias = o.ffn_bias = true; }),
                                    with("gqa", [](PresetOptions& o) { o.kv_heads = 2, o.qkv_bias = true; }),
                                    with("gqa", [](PresetOptions& o) { o.kv_heads = 2, o.qk_norm = true; }),
                                    with("mha", [](PresetOptions& o) { o.heads = 3, o.head_dim = 8; })})
    expect_round_trip(config, GgmlType::f32, 0);
}

TEST(GgufModel, RopeScalingsComeBack) {
  for (const RopeScaling scaling : {RopeScaling::linear, RopeScaling::yarn, RopeScaling::llama3}) {
    ModelConfig config = make_preset("mha", small());
    for (LayerSpec& layer : config.layers) {
      RopeSpec& rope = layer.attention.rope;
      rope.scaling = scaling;
      rope.factor = 8;
      if (scaling != RopeScaling::linear) rope.original_context = 32;
    }
    expect_round_trip(config, GgmlType::f32, 0);
  }
}

// Half a step of each type: f16 has 11 bits and bf16 8; Q8_0's step is 1/127 of a block's largest number, Q4_0's 1/8,
// of which up to a whole one is lost at the far end of its lopsided range.
TEST(GgufModel, SmallerTypesLoseWhatTheyMust) {
  const ModelConfig config = make_preset("mha", small());
  expect_round_trip(config, GgmlType::f16, 0x1p-11);
  expect_round_trip(config, GgmlType::bf16, 0x1p-8);
  expect_round_trip(config, GgmlType::q8_0, 0.5 / 127 + 0x1p-10);
  expect_round_trip(config, GgmlType::q4_0, 1.0 / 8 + 0x1p-10);
}

TEST(GgufModel, ATableOfFrequenciesStaysATable) {
  RopeSpec odd;
  odd.frequencies = {1, 0.5, 0.01, 0.001};
  const TemporaryFolder folder;
  const std::vector<float> divisors = rope_divisors(odd, 8);
  GgufWriter writer;
  const std::vector<GgufTensorToWrite> tensors = {{"rope_freqs.weight", GgmlType::f32, {4}}};
  writer.write(folder.path() / "m.gguf", tensors,
               [&](size_t, std::span<float> dst) { std::copy(divisors.begin(), divisors.end(), dst.begin()); });
  const RopeSpec rope = gguf_rope(GgufFile(folder.path() / "m.gguf"), "llama", 8);
  ASSERT_EQ(rope.frequencies.size(), 4u);
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(rope.frequencies[i], odd.frequencies[i], 1e-7 * odd.frequencies[i]);
}

// What a file asks for and we lack is refused by name.
TEST(GgufModel, RefusesByName) {
  const std::unique_ptr<Device> device = make_reference_device();
  const ModelConfig config = make_preset("mha", small());
  ParameterStore store(*device, config);
  const auto refuse = [&](auto&& add, const std::string& part) {
    const TemporaryFolder folder;
    GgufWriter writer;
    add(writer);
    const fs::path file = folder.path() / "m.gguf";
    export_gguf(file, config, GgmlType::f32, writer, [](const ParameterSpec&, std::span<float>) {});
    try {
      load_config(file);
      ADD_FAILURE() << "no error, expected one with: " << part;
    } catch (const BadInput& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  };
  refuse([](GgufWriter& w) { w.add_u32("llama.expert_count", 8); }, "experts");
  refuse([](GgufWriter& w) { w.add_f32("llama.final_logit_softcapping", 30); }, "a soft cap on logits");
  refuse([](GgufWriter& w) { w.add_f32("llama.logit_scale", 0.5f); }, "a logit scale");
  refuse([](GgufWriter& w) { w.add_bool("llama.attention.causal", false); }, "attention to later tokens");
}

TEST(GgufModel, RefusesOtherArchitecturesAndLayouts) {
  const TemporaryFolder folder;
  GgufWriter writer;
  writer.add_string("general.architecture", "rwkv7");
  writer.write(folder.path() / "m.gguf", {}, [](size_t, std::span<float>) {});
  EXPECT_THROW(load_config(folder.path() / "m.gguf"), BadInput);
  const ModelConfig alibi = [] {
    PresetOptions o = small();
    o.position = PositionKind::alibi;
    return make_preset("mha", o);
  }();
  EXPECT_THROW(export_gguf(folder.path() / "a.gguf", alibi, GgmlType::f32, GgufWriter(),
                           [](const ParameterSpec&, std::span<float>) {}),
               BadInput);
  EXPECT_FALSE(path_exists(folder.path() / "a.gguf"));
}

TEST(GgufModel, RotaryRowsThereAndBack) {
  const RotaryRows rows{2, 6, 2, 4};  // the last four of six rows rotate
  std::vector<float> values(12 * 3);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i / 3);  // the row's number
  const std::vector<float> before = values;
  interleaved_to_half_split(rows, 3, values);
  const std::vector<float> expected = {0, 1, 2, 4, 3, 5, 6, 7, 8, 10, 9, 11};
  for (size_t row = 0; row < 12; ++row) EXPECT_EQ(values[row * 3], expected[row]);
  half_split_to_interleaved(rows, 3, values);
  EXPECT_EQ(values, before);
}

}  // namespace
}  // namespace mfa
