// Capacity against the closed formulas and the published figures that docs/theory.md lists.
#include "capacity/capacity.h"

#include <gtest/gtest.h>

#include <array>

#include "base/error.h"

namespace mfa {
namespace {

// A model of equal layers whose attention is `name`, with its sizes given by hand.
ModelConfig model_of(std::string_view name, const PresetOptions& options) { return make_preset(name, options); }

PresetOptions small_shape() {
  PresetOptions o;
  o.width = 256;
  o.layers = 3;
  o.vocab = 1000;
  o.context = 128;
  o.ffn = 512;
  return o;
}

int64_t attention_of_one_layer(std::string_view name, const PresetOptions& o) {
  const CapacityRow row = capacity_of(model_of(name, o), "test");
  EXPECT_EQ(row.attention_parameters % o.layers, 0);
  return row.attention_parameters / o.layers;
}

PresetOptions step3_shape() {
  PresetOptions o;
  o.width = 7168;
  o.layers = 61;
  o.vocab = 128815;
  o.context = 65536;
  o.heads = 64;
  o.head_dim = 256;
  o.q_rank = 2048;
  o.q_norm = true;
  o.ffn = 18432;
  o.tied = false;
  return o;
}

TEST(AttentionParameters, FollowTheClosedFormulas) {
  const PresetOptions o = small_shape();
  const int64_t H = o.width, d = 64, n = 4;
  EXPECT_EQ(attention_of_one_layer("mha", o), 4 * H * H);
  EXPECT_EQ(attention_of_one_layer("gqa", o), 2 * H * H + 2 * H * H * 2 / n);
  EXPECT_EQ(attention_of_one_layer("mqa", o), 2 * H * H + 2 * H * d);
}

TEST(AttentionParameters, OfMfaFollowTheClosedFormulas) {
  PresetOptions o = small_shape();
  o.heads = 5;
  const int64_t H = o.width, C = H / 8, m = 5;
  const int64_t mfa = H * (3 * C + m * C) + m * C * C;
  EXPECT_EQ(attention_of_one_layer("mfa", o), mfa);
  EXPECT_EQ(attention_of_one_layer("mfa-kr", o), mfa - H * C + C * C + C);
  o.q_rank = 48;
  EXPECT_EQ(attention_of_one_layer("mfa", o), H * (48 + 2 * C + m * C) + 48 * m * C);
  o.q_norm = true;
  EXPECT_EQ(attention_of_one_layer("mfa", o), H * (48 + 2 * C + m * C) + 48 * m * C + 48);
}

TEST(AttentionParameters, OfMlaFollowTheClosedFormula) {
  PresetOptions o = small_shape();
  o.heads = 3;
  o.q_rank = 40;
  o.kv_rank = 72;
  o.rope_dim = 16;
  const int64_t H = o.width, r = 40, C = 72, dr = 16, d = 64, m = 3;
  const int64_t matrices = H * r + r * m * (d + dr) + H * (C + dr) + 2 * C * m * d + m * d * H;
  EXPECT_EQ(attention_of_one_layer("mla", o), matrices + r + C);  // and its two latent norms
}

TEST(AttentionParameters, OfPublishedModels) {
  EXPECT_EQ(attention_of_one_layer("mfa", step3_shape()), 169345024 + 2048);
  PresetOptions mlra;  // the 2.9B models of arXiv 2603.02188
  mlra.width = 3072;
  mlra.heads = 24;
  mlra.head_dim = 256;
  mlra.q_rank = 2048;
  EXPECT_EQ(attention_of_one_layer("mfa", mlra), 39321600);
  mlra.head_dim = 128;
  mlra.q_rank = 0;
  EXPECT_EQ(attention_of_one_layer("mha", mlra), 37748736);
}

TEST(AttentionParameters, PartsAddUpToTheWhole) {
  const CapacityRow row = capacity_of(model_of("mfa-kr", small_shape()), "test");
  int64_t sum = 0;
  std::string names;
  for (const AttentionPart& part : row.attention_parts) {
    sum += part.parameters;
    names += part.tensor + " ";
  }
  EXPECT_EQ(sum, row.attention_parameters);
  EXPECT_EQ(names, "q_proj k_proj wq value_mix value_gate o_proj ");
}

TEST(KvBytes, OfThePapersShapes) {
  constexpr std::array<std::string_view, 3> variants = {"mha", "mfa", "mfa-kr"};
  const auto bytes = [&](std::string_view shape) {
    std::vector<int64_t> result;
    for (const CapacityRow& row : capacity_of_variants(variants, paper_shape(shape), shape)) {
      result.push_back(row.kv_bytes_per_token);
    }
    return result;
  };
  EXPECT_EQ(bytes("paper-1b"), (std::vector<int64_t>{163840, 20480, 10240}));
  EXPECT_EQ(bytes("paper-7b"), (std::vector<int64_t>{196608, 24576, 12288}));
}

TEST(KvBytes, OfStep3AndDeepSeekV3) {
  EXPECT_EQ(capacity_of(model_of("mfa", step3_shape()), "step3").kv_bytes_per_token, 62464);
  PresetOptions o;
  o.width = 7168;
  o.layers = 61;
  o.heads = 128;
  o.head_dim = 128;
  o.kv_rank = 512;
  o.rope_dim = 64;
  o.q_rank = 1536;
  EXPECT_EQ(capacity_of(model_of("mla", o), "v3").kv_bytes_per_token, 61 * 576 * 2);
}

TEST(KvBytes, CountOwnersOnceAndTheTypeAsGiven) {
  PresetOptions o = small_shape();
  o.layers = 4;
  const int64_t alone = capacity_of(model_of("mfa-kr", o), "x").kv_bytes_per_token;
  EXPECT_EQ(alone, 4 * 32 * 2);
  EXPECT_EQ(capacity_of(model_of("mfa-kr", o), "x", {0, DType::f32}).kv_bytes_per_token, 2 * alone);
  o.share_cache = 2;
  EXPECT_EQ(capacity_of(model_of("mfa-kr", o), "x").kv_bytes_per_token, alone / 2);
  EXPECT_THROW(capacity_of(model_of("mfa-kr", o), "x", {0, DType::i32}), BadInput);
  // int8: 32 numbers and one scale of two bytes a layer that owns a cache.
  EXPECT_EQ(capacity_of(model_of("mfa-kr", o), "x", {0, DType::i8}).kv_bytes_per_token, 2 * (32 + 2));
}

TEST(Measures, FollowTheTable) {
  const PresetOptions o = small_shape();
  const auto measures = [&](std::string_view name) {
    const CapacityRow row = capacity_of(model_of(name, o), "x");
    return std::array<double, 3>{row.slsd.mean, row.frh.mean, row.ter.mean};
  };
  using M = std::array<double, 3>;
  const double H = 256, d = 64, C = 32;
  EXPECT_EQ(measures("mha"), (M{H, d, H}));
  EXPECT_EQ(measures("gqa"), (M{2 * d, d, H}));
  EXPECT_EQ(measures("mqa"), (M{d, d, H}));
  EXPECT_EQ(measures("fpba"), (M{H, H, H * H}));
  const double heads_mla = static_cast<double>(model_of("mla", o).layers[0].attention.n_heads);
  const double heads_mfa = static_cast<double>(model_of("mfa", o).layers[0].attention.n_heads);
  EXPECT_EQ(measures("mla"), (M{64, d, heads_mla * d}));
  EXPECT_EQ(measures("mfa"), (M{C, C, heads_mfa * C}));
  EXPECT_EQ(capacity_of(model_of("mfa", step3_shape()), "x").ter.mean, 16384);  // Step-3's report, section 5.1
}

TEST(Measures, GiveARangeWhenLayersDiffer) {
  ModelConfig config = model_of("mfa", small_shape());
  config.layers[1].attention = model_of("mha", small_shape()).layers[0].attention;
  const CapacityRow row = capacity_of(config, "mixed");
  EXPECT_EQ(row.attention, "mfa+mha");
  EXPECT_FALSE(row.slsd.uniform());
  EXPECT_EQ(row.slsd.min, 32);
  EXPECT_EQ(row.slsd.max, 256);
  EXPECT_DOUBLE_EQ(row.slsd.mean, (32 + 256 + 32) / 3.0);
}

TEST(Flops, OfStep3sDecodingGrowAsItsReportSays) {
  const ModelConfig config = model_of("mfa", step3_shape());
  const Flops at_8k = capacity_of(config, "step3", {8192}).decode;
  const Flops at_16k = capacity_of(config, "step3", {16384}).decode;
  const double core = 61.0 * 64 * 256 * 4 * 8192;  // table 2 of the report: 3.27e10
  EXPECT_EQ(at_8k[FlopPart::core], core);
  EXPECT_EQ(at_16k[FlopPart::core], 2 * core);
  EXPECT_EQ(at_16k.total() - at_8k.total(), core + 61.0 * 64 * 4 * 8192);  // four a score for the softmax
  EXPECT_EQ(at_8k[FlopPart::projections], 2.0 * 61 * (7168.0 * 2560 + 2048.0 * 16384 + 7168.0 * 16384));
  EXPECT_EQ(at_8k[FlopPart::ffn], 2.0 * 61 * 3 * 7168 * 18432);
  EXPECT_EQ(at_8k[FlopPart::classifier], 2.0 * 128815 * 7168);
}

TEST(Flops, OfMlaAreAbsorbedInDecodingAndExpandedInPrefill) {
  PresetOptions o = small_shape();
  o.heads = 3;
  o.kv_rank = 72;
  o.rope_dim = 16;
  const ModelConfig config = model_of("mla", o);
  const auto row = [&](int64_t context) { return capacity_of(config, "x", {context}); };
  const double seen = 65 / 2.0;  // on average, of 64
  EXPECT_EQ(row(64).decode[FlopPart::core], 3 * 2.0 * 3 * 64 * (72 + 16 + 72));
  EXPECT_EQ(row(64).prefill[FlopPart::core], 3 * 2.0 * 3 * seen * (64 + 16 + 64));
  // Absorbed, scores and sums meet the latent, and there are more numbers to normalise.
  EXPECT_EQ(row(64).flops_per_token_prefill_absorbed - row(64).flops_per_token_prefill,
            3 * 2.0 * 3 * seen * (72 - 64 + 72 - 64) + 3 * 3 * (72 - 64));
  EXPECT_EQ(capacity_of(model_of("mfa", small_shape()), "x").flops_per_token_prefill_absorbed, 0);
}

TEST(Flops, OfPrefillAverageWhatTokensSee) {
  for (const int64_t window : {0, 1, 5, 16, 17, 40}) {
    double sum = 0;
    for (int64_t i = 0; i < 17; ++i) sum += static_cast<double>(window > 0 ? std::min(window, i + 1) : i + 1);
    EXPECT_DOUBLE_EQ(mean_visible_tokens(17, window), sum / 17) << "window " << window;
  }
}

TEST(Flops, OfTrainingFollowTheConvention) {
  const PresetOptions o = small_shape();
  const ModelConfig config = model_of("mha", o);
  const CapacityRow row = capacity_of(config, "x");
  const double norms = 256.0 * (2 * 3 + 1);  // the only parameters of a tied MHA model that are in no product
  EXPECT_EQ(row.flops_per_token_train, 6 * (static_cast<double>(row.parameters) - norms) + 6.0 * 3 * 4 * 64 * 128);
  const auto exact = [&](FlopPart part) { return row.train[part]; };
  EXPECT_EQ(exact(FlopPart::projections) + exact(FlopPart::ffn) + exact(FlopPart::classifier),
            6 * (static_cast<double>(row.parameters) - norms));
  // With keys and values of one size, probabilities computed again make the backward pass 2.5 × the forward one.
  EXPECT_EQ(exact(FlopPart::core), 3.5 * 3 * 4 * 4 * 64 * (129 / 2.0));
}

TEST(Flops, OfTheValueMixAreFreeOnceFolded) {
  PresetOptions o = small_shape();
  const ModelConfig gated = model_of("mfa-kr", o);
  o.reuse = KeyReuse::identity;
  const ModelConfig identity = model_of("mfa-kr", o);
  ASSERT_EQ(gated.layers[0].attention.n_heads, identity.layers[0].attention.n_heads);
  EXPECT_EQ(capacity_of(gated, "x").flops_per_token_decode, capacity_of(identity, "x").flops_per_token_decode);
  EXPECT_EQ(capacity_of(gated, "x").flops_per_token_train - capacity_of(identity, "x").flops_per_token_train,
            6.0 * 3 * 32 * 32);
  EXPECT_EQ(capacity_of(gated, "x").decode[FlopPart::value_map], 0);
}

TEST(Flops, UntiedEmbeddingsAreNoProduct) {
  PresetOptions o = small_shape();
  const CapacityRow tied = capacity_of(model_of("mfa", o), "x");
  o.tied = false;
  const CapacityRow untied = capacity_of(model_of("mfa", o), "x");
  EXPECT_EQ(untied.parameters - tied.parameters, 1000 * 256);
  EXPECT_EQ(untied.flops_per_token_decode, tied.flops_per_token_decode);
}

TEST(Variants, AreMatchedToTheFirst) {
  constexpr std::array<std::string_view, 6> variants = {"mha", "mqa", "gqa", "mla", "mfa", "mfa-kr"};
  PresetOptions o = paper_shape("paper-1b");
  const std::vector<CapacityRow> rows = capacity_of_variants(variants, o, "paper-1b");
  ASSERT_EQ(rows.size(), variants.size());
  for (const CapacityRow& row : rows) {
    EXPECT_NEAR(static_cast<double>(row.parameters) / static_cast<double>(rows[0].parameters), 1, 0.01)
        << row.attention;
  }
}

TEST(Flops, PartsAddUpToTheWhole) {
  for (const std::string_view name : preset_names()) {
    const CapacityRow row = capacity_of(model_of(name, small_shape()), name);
    EXPECT_EQ(row.decode.total(), row.flops_per_token_decode) << name;
    EXPECT_DOUBLE_EQ(row.prefill.total(), row.flops_per_token_prefill) << name;
    EXPECT_DOUBLE_EQ(row.train.total(), row.flops_per_token_train_exact) << name;
    EXPECT_EQ(row.decode[FlopPart::embedding], 0) << name;
    EXPECT_EQ(row.work.core_flops + row.work.linear_flops + row.work.ffn_flops, row.flops_per_token_decode) << name;
  }
}

TEST(Capacity, RefusesAnInvalidConfig) {
  ModelConfig config = model_of("gqa", small_shape());
  config.layers[0].attention.kv_heads = 3;
  EXPECT_THROW(capacity_of(config, "x"), BadInput);
}

}  // namespace
}  // namespace mfa
