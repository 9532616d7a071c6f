// Configs of published families: sizes that are public, kinds that are not run, and refusals by name.
#include "capacity/foreign_config.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "capacity/capacity.h"
#include "capacity/named_shapes.h"

namespace mfa {
namespace {

Json fixture(const std::string& name) {
  return parse_json(read_file(fs::path(MFA_FIXTURES) / "configs" / (name + ".json")), name);
}

CapacityRow row_of(const std::string& name) { return capacity_of(cost_model_from_json(fixture(name), name), name); }

std::string error_of(const Json& json) {
  try {
    capacity_of(cost_model_from_json(json, "c.json"), "x");
  } catch (const BadInput& error) {
    return error.what();
  }
  return "accepted";
}

// Billions, as the families' own pages print them: all, and what a token meets. MiniMax counts its active parameters
// without the embedding and the classifier (2 · 200,064 · 6,144 = 2.46 billion).
struct Published {
  const char* config;
  double all, active;
};

TEST(ForeignConfig, ParametersAreThePublishedOnes) {
  constexpr Published published[] = {{"llama", 8.03, 8.03},
                                     {"mistral", 7.24, 7.24},
                                     {"qwen2", 7.62, 7.62},
                                     {"qwen2_moe", 57.4, 14.2},
                                     {"qwen3_32b", 32.8, 32.8},
                                     {"qwen3_moe_235b", 235, 22.2},
                                     {"deepseek_v2", 236, 21.4},
                                     {"deepseek_v3", 671, 37.6},
                                     {"kimi_k2", 1026, 32.9},
                                     {"step3", 316, 38.8},
                                     {"minimax_m1", 456, 45.9 + 2.46},
                                     {"ernie4_5", 299, 47.9},
                                     {"pangu_pro", 72.0, 16.5},
                                     {"gemma", 2.51, 2.51},
                                     {"gemma2", 2.61, 2.61},
                                     {"gemma3", 1.00, 1.00},
                                     {"llama4_maverick", 401, 17.2}};
  for (const Published& p : published) {
    const CapacityRow row = row_of(p.config);
    EXPECT_NEAR(static_cast<double>(row.parameters) / 1e9 / p.all, 1, 0.005) << p.config;
    EXPECT_NEAR(static_cast<double>(row.active_parameters) / 1e9 / p.active, 1, 0.005) << p.config;
  }
}

TEST(ForeignConfig, ModelsThatRunAreReadAsTheyRun) {
  const Json json = fixture("llama");
  const CostModel model = cost_model_from_json(json, "llama");
  EXPECT_TRUE(model.runs);
  EXPECT_TRUE(model.notes.empty());
  EXPECT_EQ(model.attention, "gqa");
}

TEST(ForeignConfig, WhatIsCountedButNotRunIsNamed) {
  const auto note = [](const char* config) {
    const CostModel model = cost_model_from_json(fixture(config), config);
    EXPECT_FALSE(model.runs);
    return model.notes.at(0);
  };
  EXPECT_EQ(note("qwen3_moe_235b"), "counted, not run: experts");
  EXPECT_EQ(note("llama4_maverick"), "counted, not run: experts, chunked attention");
  EXPECT_EQ(note("minimax_m1"), "counted, not run: experts, linear-attention states, scaled residuals");
  EXPECT_EQ(note("gemma2"), "counted, not run: GELU gates, norms behind layers, soft caps");
  const CostModel v3 = cost_model_from_json(fixture("deepseek_v3"), "v3");
  EXPECT_EQ(v3.notes.back(), "1 layer(s) that predict further tokens are left out");
}

TEST(ForeignConfig, LinearLayersHaveAStateAndNoCache) {
  const CapacityRow at_8k = capacity_of(cost_model_from_json(fixture("minimax_m1"), "m1"), "m1", {.context = 8192});
  const CapacityRow at_32k = capacity_of(cost_model_from_json(fixture("minimax_m1"), "m1"), "m1", {.context = 32768});
  EXPECT_EQ(at_8k.attention, "linear+gqa");
  EXPECT_EQ(at_8k.state_bytes, int64_t{70} * 64 * 128 * 128 * 4);
  EXPECT_EQ(at_8k.kv_bytes_per_token, 10 * 2 * 8 * 128 * 2);
  EXPECT_EQ(at_32k.kv_bytes_context - at_8k.kv_bytes_context, at_8k.kv_bytes_per_token * (32768 - 8192));
  EXPECT_EQ(at_8k.slsd.mean, 1024);  // of the layers that have one
}

TEST(ForeignConfig, ChunkedLayersHoldAndSeeOneChunk) {
  const auto row = [](int64_t context) {
    return capacity_of(cost_model_from_json(fixture("llama4_maverick"), "l4"), "l4", {.context = context});
  };
  const int64_t layer = 2 * 8 * 128 * 2;
  EXPECT_EQ(row(32768).kv_bytes_context, layer * (12 * 32768 + 36 * 8192));
  // The first token of a new chunk sees itself only in 36 layers.
  EXPECT_EQ(row(8193).work.kv_bytes, static_cast<double>(layer) * (12 * 8193 + 36));
}

TEST(ForeignConfig, WindowsOfGemmaAreOnFiveLayersOfSix) {
  const CostModel model = cost_model_from_json(fixture("gemma3"), "gemma3");
  int64_t windows = 0;
  for (const CostLayer& layer : model.layers) windows += layer.attention.window == 512;
  EXPECT_EQ(windows, 22);
  EXPECT_EQ(model.layers[5].attention.window, 0);
}

TEST(ForeignConfig, Step3sShapeIsItsConfig) {
  const CapacityRow config = row_of("step3"), shape = capacity_of(step3_model(), "step3");
  EXPECT_EQ(shape.parameters, config.parameters);
  EXPECT_EQ(shape.active_parameters, config.active_parameters);
  EXPECT_EQ(shape.kv_bytes_per_token, config.kv_bytes_per_token);
  EXPECT_EQ(shape.flops_per_token_decode, config.flops_per_token_decode);
  EXPECT_EQ(shape.flops_per_token_prefill, config.flops_per_token_prefill);
  EXPECT_EQ(shape.flops_per_token_train, config.flops_per_token_train);
}

TEST(ForeignConfig, WhatCannotBeJudgedIsRefusedByName) {
  Json json = fixture("llama");
  json["model_type"] = "mamba2";
  EXPECT_NE(error_of(json).find("[c.json] model_type mamba2 cannot be judged, expected"), std::string::npos);
  json = fixture("qwen3_moe_235b");
  json["num_experts_per_tok"] = 129;
  EXPECT_NE(error_of(json).find("experts chosen a token, got 129, expected 1 to 128"), std::string::npos);
  json = fixture("gemma3");
  json["layer_types"] = Json::array({"mamba"});
  EXPECT_NE(error_of(json).find("layers of type mamba cannot be judged"), std::string::npos);
  json = fixture("llama");
  json["hidden_act"] = "relu2";
  EXPECT_NE(error_of(json).find("hidden_act relu2 cannot be judged"), std::string::npos);
  json = fixture("deepseek_v3");
  json.erase("kv_lora_rank");
  EXPECT_NE(error_of(json).find("kv_lora_rank is missing"), std::string::npos);
  json = fixture("minimax_m1");
  json["attn_type_list"] = Json::array({0, 1});
  EXPECT_NE(error_of(json).find("attn_type_list, got 2 of them, expected 80"), std::string::npos);
  json = fixture("step3");
  json["text_config"]["moe_layers_enum"] = "4,x";
  EXPECT_NE(error_of(json).find("moe_layers_enum, got 4,x"), std::string::npos);
  json = fixture("kimi_k2");
  json["n_routed_experts"] = 1 << 24;
  json["moe_intermediate_size"] = 1 << 24;
  EXPECT_NE(error_of(json).find("parameters, expected at most 2^50"), std::string::npos);
  EXPECT_NE(error_of(Json(3)).find("expected an object"), std::string::npos);
}

// Any key may be anything: an error of ours, never another exception, and never a crash.
TEST(ForeignConfig, DamagedValuesAreErrors) {
  const Json bad[] = {Json(nullptr), Json(-1),       Json(0),    Json(1e300),           Json("x"),
                      Json::array(), Json::object(), Json(true), Json(int64_t{1} << 62)};
  for (const auto& entry : fs::directory_iterator(fs::path(MFA_FIXTURES) / "configs")) {
    if (entry.path().extension() != ".json") continue;
    const Json whole = parse_json(read_file(entry.path()), "c.json");
    const bool inner = whole.contains("text_config");
    const Json& keys = inner ? whole["text_config"] : whole;
    for (const auto& [key, value] : keys.items()) {
      for (const Json& other : bad) {
        Json damaged = whole;
        (inner ? damaged["text_config"] : damaged)[key] = other;
        error_of(damaged);
      }
      Json without = whole;
      (inner ? without["text_config"] : without).erase(key);
      error_of(without);
    }
  }
}

}  // namespace
}  // namespace mfa
