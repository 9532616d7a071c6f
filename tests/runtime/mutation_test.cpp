// Damaged models, opened as every command opens them and run for a few tokens.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/file.h"
#include "formats/gguf_writer.h"
#include "formats/json.h"
#include "formats/mutations.h"
#include "formats/safetensors.h"
#include "kernels/device.h"
#include "model/config_json.h"
#include "model/gguf_export.h"
#include "model/model_folder.h"
#include "model/presets.h"
#include "runtime/model_session.h"

namespace mfa {
namespace {

const fs::path kFixtures = fs::path(MFA_FIXTURES) / "architectures";

// A folder for damaged files, with a device to run them on.
class MutationTest : public testing::Test {
 protected:
  MutationTest() : folder_(fs::path(testing::TempDir()) / fmt::format("mfa_damaged_{}", ::getpid())) {
    fs::create_directories(folder_);
  }
  ~MutationTest() override { fs::remove_all(folder_); }

  void copy(const std::string& fixture, const std::string& file) {
    fs::copy_file(kFixtures / fixture / file, folder_ / file, fs::copy_options::overwrite_existing);
  }
  // Thousands of times: without the fsync of write_file.
  void overwrite(const std::string& file, const std::string& bytes) {
    std::ofstream(folder_ / file, std::ios::binary | std::ios::trunc) << bytes;
  }
  void run(const fs::path& model) {
    constexpr int32_t ids[] = {1, 0, 1};
    ModelSession session = open_model(*device_, model, {.positions = 8});
    KvCache cache(*device_, session.config, session.kv_type, 8);
    Sequence sequence(cache);
    StepItem item{&sequence, ids, Wanted::last_logits, {}, {}};
    session.engine->step(cache, {&item, 1});
  }

  const fs::path folder_;
  const std::unique_ptr<Device> device_ = make_cpu_device();
};

TEST_F(MutationTest, Safetensors) {
  uint64_t seed = 100;
  for (const std::string fixture : {"qwen2", "deepseek_v2_yarn"}) {
    copy(fixture, "config.json");
    const std::string good = read_file(kFixtures / fixture / "model.safetensors");
    expect_survives(good, ++seed, 3000, [&](const std::string& bad) {
      overwrite("model.safetensors", bad);
      run(folder_);
    });
  }
}

TEST_F(MutationTest, ConfigOfEachArchitecture) {
  uint64_t seed = 200;
  for (const std::string fixture :
       {"llama3_rope", "llama_bias", "mistral_window", "qwen2_yarn", "qwen3", "deepseek_v2_yarn", "step3"}) {
    copy(fixture, "model.safetensors");
    const std::string good = parse_json(read_file(kFixtures / fixture / "config.json"), fixture).dump();
    expect_survives(good, ++seed, good.size(), [&](const std::string& bad) {
      overwrite("config.json", bad);
      run(folder_);
    });
  }
}

// Our own layout, where each layer says everything.
TEST_F(MutationTest, ConfigOfOurOwn) {
  PresetOptions o;
  o.width = 16, o.layers = 2, o.vocab = 11, o.context = 8, o.heads = 4, o.head_dim = 4, o.ffn = 12;
  const ModelConfig config = make_preset("mfa-kr", o);
  save_model(folder_, config, ParameterStore(*device_, config), {});
  const std::string good = parse_json(read_file(folder_ / "config.json"), "good").dump();
  ASSERT_NE(good.find("mfa_cpp"), std::string::npos);
  expect_survives(good, 300, good.size(), [&](const std::string& bad) {
    overwrite("config.json", bad);
    run(folder_);
  });
}

TEST_F(MutationTest, IndexOfShards) {
  copy("llama", "config.json");
  const SafetensorsReader whole(kFixtures / "llama" / "model.safetensors");
  std::vector<TensorToWrite> parts[2];
  Json map;
  for (const auto& [name, tensor] : whole.tensors()) {
    const size_t part = map.size() % 2;
    parts[part].push_back({name, tensor.type, tensor.shape, tensor.bytes});
    map[name] = fmt::format("model-{}.safetensors", part);
  }
  for (size_t part = 0; part < 2; ++part)
    write_safetensors(folder_ / fmt::format("model-{}.safetensors", part), parts[part]);
  const std::string good = Json{{"metadata", {{"total_size", 55936}}}, {"weight_map", map}}.dump();
  expect_survives(good, 400, good.size(), [&](const std::string& bad) {
    overwrite("model.safetensors.index.json", bad);
    run(folder_);
  });
}

// Lies that are one number, where the reader could take them for sizes. Memory and time: as for damage.
TEST_F(MutationTest, ConfigsThatClaimTooMuch) {
  copy("llama", "model.safetensors");
  const Json good = parse_json(read_file(kFixtures / "llama" / "config.json"), "good");
  const auto refused = [&](const std::string& key, const Json& value) {
    Json bad = good;
    bad[key] = value;
    expect_refused_cheaply(bad.dump().size(), [&] {
      overwrite("config.json", bad.dump());
      run(folder_);
    });
  };
  for (const char* key : {"num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads",
                          "num_key_value_heads", "head_dim", "vocab_size"})
    for (const Json& value : {Json(0), Json(-1), Json(3), Json(9999), Json(100000), Json(1 << 30), Json(INT64_MAX),
                              Json(UINT64_MAX), Json(1e300), Json("4"), Json::array({4})})
      refused(key, value);
  refused("max_position_embeddings", INT64_MAX);
  refused("rope_parameters", {{"rope_theta", 1e4}, {"frequencies", Json(std::vector<double>(1000, 0.5))}});
}

// A fixture as a GGUF file.
std::string gguf_of(const std::string& fixture, const std::string& type, const fs::path& file) {
  const ModelConfig config = load_config(kFixtures / fixture);
  const std::unique_ptr<WeightFile> weights = open_weights(kFixtures / fixture);
  const std::vector<std::string> tokens = {"a", "b"};
  GgufWriter writer;
  writer.add_strings("tokenizer.ggml.tokens", tokens);
  export_gguf(file, config, parse_export_type(type), writer,
              [&](const ParameterSpec& spec, std::span<float> dst) { weights->read(config, spec, dst); });
  return read_file(file);
}

TEST_F(MutationTest, GgufWeights) {
  uint64_t seed = 500;
  for (const auto& [fixture, type] : {std::pair("llama3_rope", "q8_0"), {"qwen3", "f16"}}) {
    const fs::path file = folder_ / "model.gguf";
    const std::string good = gguf_of(fixture, type, file);
    expect_survives(good, ++seed, 3000, [&](const std::string& bad) {
      overwrite("model.gguf", bad);
      run(file);
    });
  }
}

}  // namespace
}  // namespace mfa
