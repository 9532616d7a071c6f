// Step-3's report (arXiv 2507.19427): every cell of its tables 2, 3, 6 and 7, and the figures around them, from
// config.json to cell. Cells that its published inputs do not determine are listed here with the reason.
//
// Not reproduced, and why:
// - none of tables 2 and 3: all cells follow, once MiniMax-M1's state counts 8 bytes and 10 FLOPs a number, factors
//   that were fitted (the report names neither), as capacity/report_convention.h says.
// - "8 full layers" of MiniMax-M1 in the report's text: the tables fit 10, and 10 are in the fixture.
// - H800's price of a FLOP: 2 / 3600 / 1.98e15 is 2.806e-19; the report cuts it to 2.80e-19.
#include <gtest/gtest.h>

#include <cmath>

#include "base/file.h"
#include "capacity/cost.h"
#include "capacity/foreign_config.h"
#include "capacity/hardware.h"
#include "capacity/report_convention.h"

namespace mfa {
namespace {

CostModel fixture(const std::string& name) {
  const fs::path path = fs::path(MFA_FIXTURES) / "configs" / (name + ".json");
  return cost_model_from_json(parse_json(read_file(path), path.string()), path.string());
}

// Built-in rows, whatever table the person who runs the tests has at home.
std::vector<Hardware> accelerators() {
  const std::vector<Hardware> all = built_in_hardware();
  std::vector<Hardware> four;
  for (const char* name : {"H800", "H20", "A800", "910B"}) four.push_back(find_hardware(all, name));
  return four;
}

// Tables 2 and 3: as printed, to three digits.
struct WorkRow {
  const char* config;
  double kv_8k, core_8k, linear, ffn, kv_32k, core_32k;
};
constexpr WorkRow kWork[] = {
    {"deepseek_v3", 2.88e8, 1.47e11, 2.28e10, 4.84e10, 1.15e9, 5.89e11},
    {"kimi_k2", 2.88e8, 7.37e10, 1.23e10, 4.84e10, 1.15e9, 2.95e11},
    {"qwen3_moe_235b", 7.89e8, 2.52e10, 1.34e10, 2.84e10, 3.15e9, 1.01e11},
    {"qwen3_32b", 1.07e9, 1.72e10, 1.21e10, 5.03e10, 4.29e9, 6.87e10},
    {"llama4_maverick", 1.01e9, 8.05e9, 6.04e9, 2.42e10, 2.21e9, 1.41e10},
    {"minimax_m1", 9.23e8, 3.42e9, 3.75e10, 5.44e10, 1.93e9, 1.15e10},
    {"ernie4_5", 9.06e8, 1.45e10, 1.63e10, 7.61e10, 3.62e9, 5.80e10},
    {"pangu_pro", 8.05e8, 8.05e9, 6.04e9, 2.38e10, 3.22e9, 3.22e10},
    {"step3", 2.56e8, 3.27e10, 2.07e10, 5.33e10, 1.02e9, 1.31e11},
};

// Rounds to the printed digits, or was cut to them: half a unit of the third digit, or a whole one below.
void expect_printed(double printed, double actual, const char* what) {
  const double unit = std::pow(10, std::floor(std::log10(printed)) - 2);
  EXPECT_NEAR(actual, printed, 0.5 * unit * (1 + 1e-9)) << what;
}

TEST(Step3Report, Tables2And3) {
  for (const WorkRow& row : kWork) {
    SCOPED_TRACE(row.config);
    const CostModel model = fixture(row.config);
    const DecodeWork at_8k = report_work(model, 8192), at_32k = report_work(model, 32768);
    expect_printed(row.kv_8k, at_8k.kv_bytes, "KV bytes at 8k");
    expect_printed(row.core_8k, at_8k.core_flops, "core at 8k");
    expect_printed(row.linear, at_8k.linear_flops, "linear");
    expect_printed(row.ffn, at_8k.ffn_flops, "FFN");
    expect_printed(row.kv_32k, at_32k.kv_bytes, "KV bytes at 32k");
    expect_printed(row.core_32k, at_32k.core_flops, "core at 32k");
    EXPECT_EQ(at_8k.linear_flops, at_32k.linear_flops);
  }
}

// Table 5's prices of a FLOP and a byte, from table 4.
TEST(Step3Report, PricesOfTheAccelerators) {
  const std::vector<Hardware> four = accelerators();
  constexpr double flop[] = {2.80e-19, 7.51e-19, 6.68e-19, 6.65e-19}, byte[] = {1.66e-16, 5.56e-17, 1.04e-16, 1.16e-16};
  constexpr double roofline[] = {591, 74, 156, 175};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(four[i].usd_per_flop(8), flop[i], 0.7e-21) << four[i].name;  // H800's and others' third digit is cut
    EXPECT_NEAR(four[i].usd_per_byte(), byte[i], 0.6 * (byte[i] > 1e-16 ? 1e-18 : 1e-19)) << four[i].name;
    EXPECT_NEAR(four[i].flops(8) / four[i].bytes_per_s, roofline[i], 0.5) << four[i].name;
  }
}

struct CostRow {
  const char* config;
  double attention_8k[4], attention_32k[4], ffn[4];
};
constexpr CostRow kCosts[] = {
    {"deepseek_v3", {.054, .128, .114, .113}, {.197, .460, .409, .407}, {.014, .036, .032, .032}},
    {"kimi_k2", {.051, .065, .057, .057}, {.194, .231, .205, .204}, {.014, .036, .032, .032}},
    {"qwen3_moe_235b", {.135, .054, .091, .101}, {.527, .185, .338, .376}, {.008, .021, .019, .019}},
    {"qwen3_32b", {.181, .069, .120, .133}, {.716, .248, .455, .508}, {.014, .038, .034, .033}},
    {"llama4_maverick", {.169, .060, .109, .121}, {.369, .128, .235, .262}, {.007, .018, .016, .016}},
    {"minimax_m1", {.164, .079, .121, .132}, {.330, .135, .226, .249}, {.015, .041, .036, .036}},
    {"ernie4_5", {.155, .063, .105, .116}, {.606, .214, .388, .432}, {.021, .057, .051, .051}},
    {"pangu_pro", {.135, .049, .088, .098}, {.536, .183, .340, .379}, {.007, .018, .016, .016}},
    {"step3", {.048, .040, .040, .043}, {.176, .114, .120, .133}, {.015, .040, .036, .035}},
};

TEST(Step3Report, Table6) {
  const std::vector<Hardware> four = accelerators();
  for (const CostRow& row : kCosts) {
    const CostModel model = fixture(row.config);
    for (size_t i = 0; i < 4; ++i) {
      SCOPED_TRACE(std::string(row.config) + " on " + four[i].name);
      const DecodePrice at_8k = decode_price(report_work(model, 8192), four[i], 8);
      const DecodePrice at_32k = decode_price(report_work(model, 32768), four[i], 8);
      EXPECT_NEAR(at_8k.attention_usd, row.attention_8k[i], 0.002);
      EXPECT_NEAR(at_32k.attention_usd, row.attention_32k[i], 0.002);
      EXPECT_NEAR(at_8k.ffn_usd, row.ffn[i], 0.002);
    }
  }
}

// Figure 1: attention on the card where it is cheapest, feed-forward layers on theirs.
TEST(Step3Report, BestSplitOverTwoKindsOfCards) {
  const std::vector<Hardware> four = accelerators();
  const auto best = [&](const char* config, int64_t context) {
    double attention = 1e9, ffn = 1e9;
    for (const Hardware& card : four) {
      const DecodePrice price = decode_price(report_work(fixture(config), context), card, 8);
      attention = std::min(attention, price.attention_usd);
      ffn = std::min(ffn, price.ffn_usd);
    }
    return attention + ffn;
  };
  constexpr std::pair<const char*, double> at_8k[] = {
      {"step3", .055},     {"pangu_pro", .057},       {"qwen3_moe_235b", .062},
      {"kimi_k2", .065},   {"llama4_maverick", .067}, {"deepseek_v3", .068},
      {"qwen3_32b", .083}, {"ernie4_5", .085},        {"minimax_m1", .095}};
  for (const auto& [config, usd] : at_8k) EXPECT_NEAR(best(config, 8192), usd, 0.002) << config;
  EXPECT_NEAR(best("step3", 32768), .129, 0.002);
  EXPECT_NEAR(best("qwen3_moe_235b", 32768), .193, 0.002);
  EXPECT_NEAR(best("deepseek_v3", 32768), .211, 0.002);
}

// Figure 4: training at 8k on 910B, all of its FLOPs used; and decoding there.
TEST(Step3Report, TrainingAndDecodingOn910B) {
  const Hardware card = accelerators()[3];
  const auto training = [&](const char* config) {
    return report_train_flops(report_work(fixture(config), 8192)) * card.usd_per_flop(8) * 1e6;
  };
  EXPECT_NEAR(training("pangu_pro"), .076, 0.0005);
  EXPECT_NEAR(training("step3"), .213, 0.0005);
  const auto decoding = [&](const char* config, int64_t context) {
    return decode_price(report_work(fixture(config), context), card, 8).total_usd();
  };
  EXPECT_NEAR(decoding("pangu_pro", 8192), .114, 0.001);
  EXPECT_NEAR(decoding("pangu_pro", 32768), .395, 0.001);
  EXPECT_NEAR(decoding("step3", 8192), .078, 0.001);
  EXPECT_NEAR(decoding("step3", 32768), .168, 0.001);
}

// Table 7: the smallest share of experts that the network lets a layer activate.
TEST(Step3Report, Table7) {
  const std::vector<Hardware> four = accelerators();
  constexpr double smallest[] = {.058, .007, .031, .034};
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(smallest_sparsity(four[i], 7168, 61), smallest[i], 0.0005) << four[i].name;
  Hardware slower = four[0];
  slower.network_bytes_per_s *= 40.0 / 50;
  EXPECT_NEAR(smallest_sparsity(slower, 7168, 61), .073, 0.0005);
  // DeepSeek-V3 would have to choose 14 of its 256 experts, beside the shared one.
  EXPECT_EQ(std::round((256 + 1) * smallest_sparsity(four[0], 7168, 61) - 1), 14);
}

// Section 4.4 and 5.1: FLOPs for each KV byte at 8 bits, and the effective rank.
TEST(Step3Report, IntensityAndEffectiveRank) {
  const auto row = [](const char* config) {
    return capacity_of(fixture(config), config, {.context = 8192, .convention = Convention::step3_report});
  };
  EXPECT_EQ(row("step3").flops_per_kv_byte, 128);
  EXPECT_EQ(row("deepseek_v3").flops_per_kv_byte, 512);
  EXPECT_EQ(row("qwen3_moe_235b").flops_per_kv_byte, 32);
  EXPECT_EQ(row("step3").ter.mean, 16384);
  EXPECT_EQ(row("deepseek_v3").ter.mean, 16384);
  EXPECT_EQ(row("qwen3_moe_235b").ter.mean, 8192);
  EXPECT_EQ(row("step3").kv_bytes_per_token, 31232);
  EXPECT_EQ(capacity_of(fixture("step3"), "step3").kv_bytes_per_token, 62464);
}

// FLOPs for each cached byte at 16 bits are 1 for MHA, heads a KV head for GQA, m for
// MFA and twice m where the key is the value.
TEST(Intensity, IsHeadsThatShareACachedByte) {
  const auto intensity = [](std::string_view preset) {
    PresetOptions o;
    o.width = 512;
    o.heads = 8;
    o.head_dim = 64;
    o.kv_heads = preset == "gqa" ? 2 : 0;
    return capacity_of(make_preset(preset, o), preset, {.context = 1000}).flops_per_kv_byte;
  };
  EXPECT_EQ(intensity("mha"), 1);
  EXPECT_EQ(intensity("gqa"), 4);
  EXPECT_EQ(intensity("mqa"), 8);
  EXPECT_EQ(intensity("mfa"), 8);
  EXPECT_EQ(intensity("mfa-kr"), 16);
}

// Section 7 of the report: how much of an L20 a layer's time of 272 µs leaves for the cache.
TEST(Step3Report, SequencesThatAnL20HasTimeFor) {
  const Hardware l20 = find_hardware(built_in_hardware(), "L20");
  const CostLayer layer = fixture("step3").layers[0];
  const double bytes = l20.bytes_per_s * (0.0166 / 61);  // the report cuts 50 ms / 3 to 16.6
  EXPECT_NEAR(bytes, 235e6, 1.5e6);
  double replicated = 0, split = 0;
  visit_attention_tensors(layer.attention, 7168, [&](std::string_view name, int64_t rows, int64_t cols, TensorRole) {
    (name == "o_proj" ? split : replicated) += static_cast<double>(rows * cols);
  });
  const double weights = replicated + split / 8;
  EXPECT_NEAR(weights, 67e6, 0.5e6);
  const double tokens = (bytes - weights) / static_cast<double>(cache_numbers(layer.attention));
  EXPECT_NEAR(tokens, 328e3, 2.5e3);
  EXPECT_NEAR(tokens / 8192, 41, 1);  // the report rounds up
}

}  // namespace
}  // namespace mfa
