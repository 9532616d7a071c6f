#include "model/llama2c.h"

#include <array>
#include <cstring>
#include <fstream>

#include "base/error.h"
#include "base/temporary_folder.h"

namespace mfa {
namespace {

// A model of the given header whose numbers are their own index in the file, behind the header.
fs::path write_model(const fs::path& folder, const std::array<int32_t, 7>& header, size_t numbers) {
  std::vector<float> values(numbers);
  for (size_t i = 0; i < numbers; ++i) values[i] = static_cast<float>(i);
  std::ofstream out(folder / "m.bin", std::ios::binary);
  out.write(reinterpret_cast<const char*>(header.data()), sizeof header);
  out.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(numbers * 4));
  return folder / "m.bin";
}

// dim 4, hidden 3, 2 layers, 1 head of 4 dims, 5 tokens, context 2: embedding 20, norms 8, q, k, v, o 32 each, norms 8,
// w1, w2, w3 24 each, norm 4, tables 2 · 2 · 2.
constexpr std::array<int32_t, 7> kHeader = {4, 3, 2, 1, 1, 5, 2};
constexpr size_t kNumbers = 20 + 8 + 4 * 32 + 8 + 3 * 24 + 4 + 8;

TEST(Llama2c, FindsEveryTensor) {
  const TemporaryFolder folder;
  const Llama2cWeights weights(write_model(folder.path(), kHeader, kNumbers));
  const ModelConfig& config = weights.config();
  EXPECT_TRUE(config.tied);
  EXPECT_EQ(config.layers.size(), 2u);
  const auto first = [&](const std::string& name) {
    for (const ParameterSpec& spec : parameter_table(config)) {
      if (spec.name != name) continue;
      std::vector<float> values(static_cast<size_t>(spec.size()));
      weights.read(config, spec, values);
      return values[0];
    }
    return -1.0f;
  };
  EXPECT_EQ(first("model.embed_tokens.weight"), 0);
  EXPECT_EQ(first("model.layers.1.input_layernorm.weight"), 24);
  EXPECT_EQ(first("model.layers.0.self_attn.q_proj.weight"), 28);
  EXPECT_EQ(first("model.layers.1.self_attn.k_proj.weight"), 76);
  EXPECT_EQ(first("model.layers.0.self_attn.o_proj.weight"), 124);
  EXPECT_EQ(first("model.layers.0.post_attention_layernorm.weight"), 156);
  EXPECT_EQ(first("model.layers.0.mlp.gate_proj.weight"), 164);
  EXPECT_EQ(first("model.layers.1.mlp.down_proj.weight"), 200);
  EXPECT_EQ(first("model.layers.0.mlp.up_proj.weight"), 212);
  EXPECT_EQ(first("model.norm.weight"), 236);
}

// Rows 0, 1, 2, 3 of a head rotate as (0, 1) and (2, 3) there, as (0, 2) and (1, 3) here.
TEST(Llama2c, RotaryRowsChangeTheirOrder) {
  const TemporaryFolder folder;
  const Llama2cWeights weights(write_model(folder.path(), kHeader, kNumbers));
  for (const ParameterSpec& spec : parameter_table(weights.config())) {
    if (spec.name != "model.layers.0.self_attn.q_proj.weight") continue;
    std::vector<float> values(16);
    weights.read(weights.config(), spec, values);
    EXPECT_EQ(values[4], 28 + 8);
    EXPECT_EQ(values[8], 28 + 4);
  }
}

TEST(Llama2c, RefusesWhatDoesNotAddUp) {
  const TemporaryFolder folder;
  const auto refuse = [&](const std::array<int32_t, 7>& header, size_t numbers) {
    const fs::path file = write_model(folder.path(), header, numbers);
    EXPECT_THROW(Llama2cWeights{file}, BadInput);
  };
  refuse(kHeader, kNumbers - 1);
  refuse(kHeader, kNumbers + 1);
  refuse({4, 3, 2, 1, 1, -5, 2}, kNumbers);  // a classifier of its own, which is not there
  EXPECT_NO_THROW(Llama2cWeights(write_model(folder.path(), {4, 3, 2, 1, 1, -5, 2}, kNumbers + 20)));
  refuse({4, 3, 2, 3, 1, 5, 2}, kNumbers);
  refuse({0, 0, 0, 0, 0, 0, 0}, 0);
  refuse({INT32_MAX, INT32_MAX, 100000, 1, 1, INT32_MAX, INT32_MAX}, 8);
  refuse({4, 3, 2, 1, 1, INT32_MIN, 2}, kNumbers);
  std::ofstream(folder.path() / "m.bin") << "short";
  EXPECT_THROW(Llama2cWeights{folder.path() / "m.bin"}, BadInput);
}

}  // namespace
}  // namespace mfa
