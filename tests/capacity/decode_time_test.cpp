#include "capacity/decode_time.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "capacity/capacity.h"
#include "capacity/decode_rates_json.h"
#include "capacity/layer_cost.h"
#include "model/presets.h"

namespace mfa {
namespace {

// A machine whose figures are round: a product takes a nanosecond a number and a microsecond more, and so on.
DecodeRates round_rates() {
  DecodeRates rates;
  rates.threads = 2;
  for (const DType type : {DType::f32, DType::bf16}) {
    const double nanos = type == DType::f32 ? 1e-9 : 0.5e-9;
    rates.products.push_back({type, {{1e3, 1e6}, {1e-6 + 1e3 * nanos, 1e-6 + 1e6 * nanos}}, {{1, 4}, {1e-3, 2.5e-3}}});
  }
  for (const DType kv : {DType::f32, DType::bf16, DType::i8})
    for (const CacheKind kind : {CacheKind::apart, CacheKind::rotated, CacheKind::shared})
      for (const int64_t dim : {64, 256}) {
        const double base = static_cast<double>(dim) * 1e-9 * (1 + static_cast<double>(kind)) *
                            (kv == DType::f32    ? 4
                             : kv == DType::bf16 ? 2
                                                 : 1);
        // Of which each head takes a tenth more; 1.5 times that when both threads work.
        rates.attention.push_back({kv, kind, dim, {{1, 11}, {base, 2 * base}}, {{1, 11}, {1.5 * base, 3 * base}}});
      }
  const RateCurve none{{1, 2}, {1e-30, 1e-30}};
  rates.vectors = {none, none, none, none, none};
  return rates;
}

Hardware measured_machine() {
  Hardware machine;
  machine.name = "round";
  machine.bytes_per_s = 1;
  machine.decode = round_rates();
  return machine;
}

Hardware roofline_machine() {
  Hardware machine;
  machine.name = "card";
  machine.bytes_per_s = 1e9;
  machine.flops_f32 = 1e9;
  machine.flops_bf16 = 4e9;
  return machine;
}

ModelConfig model(std::string_view preset) {
  PresetOptions options;
  options.width = 512;
  options.layers = 3;
  options.vocab = 1000;
  options.ffn = 1024;
  return make_preset(preset, options);
}

TEST(DecodeTime, OfMeasuredOperationsIsTheirSum) {
  // Eight heads of 64: q, k and v in one product, o, gate and up in one, down.
  const DecodeTime time =
      decode_time(model("mha"), {.context = 1000, .weights = DType::f32, .kv = DType::bf16}, measured_machine());
  const double numbers = 3 * (4 * 512 * 512 + 3 * 512 * 1024.0) + 512 * 1000, calls = 3 * 4 + 1;
  EXPECT_NEAR(time.products, numbers * 1e-9 + calls * 1e-6, 1e-12);
  // Eight blocks are a task each: four a thread, both threads at work.
  EXPECT_NEAR(time.attention, 3 * (4 * 1000) * (64 * 2e-9 * 1.5), 1e-12);
  EXPECT_NEAR(time.seconds(), time.products + time.attention, 1e-20);
}

TEST(DecodeTime, OneKvHeadBehindAShortCacheKeepsOneThread) {
  const Hardware machine = measured_machine();
  const ModelConfig mqa = model("mqa");
  const auto attention = [&](int64_t context) {
    return decode_time(mqa, {.context = context, .weights = DType::f32, .kv = DType::bf16}, machine).attention;
  };
  const double alone = 64 * 2e-9 * 1.7;                        // eight heads
  EXPECT_NEAR(attention(512), 3 * 512 * alone, 1e-12);         // one split: one thread
  EXPECT_NEAR(attention(1024), 3 * 512 * alone * 1.5, 1e-12);  // two: both
}

TEST(DecodeTime, WhatTheCacheHoldsChoosesTheRate) {
  const Hardware machine = measured_machine();
  const auto attention = [&](const char* preset, DType kv) {
    return decode_time(model(preset), {.context = 512, .weights = DType::f32, .kv = kv}, machine).attention;
  };
  EXPECT_NEAR(attention("mqa", DType::f32), 2 * attention("mqa", DType::bf16), 1e-12);
  EXPECT_NEAR(attention("mqa", DType::i8), attention("mqa", DType::bf16) / 2, 1e-12);
  const ModelConfig kr = model("mfa-kr"), mla = model("mla");
  const auto heads = [](const ModelConfig& config) { return static_cast<double>(config.layers[0].attention.n_heads); };
  EXPECT_NEAR(attention("mfa-kr", DType::bf16), 3 * 512 * 64 * 4e-9 * (1 + (heads(kr) - 1) / 10), 1e-12);
  // The latent's 128 numbers and 32 rotary ones are compared, 128 summed: a mean of 144.
  EXPECT_NEAR(attention("mla", DType::bf16), 3 * 512 * 144 * 6e-9 * (1 + (heads(mla) - 1) / 10), 1e-11);
}

TEST(DecodeTime, ABatchReadsWeightsOnceAndEachCache) {
  const Hardware machine = measured_machine();
  const DecodeRun one{.context = 1024, .weights = DType::f32, .kv = DType::bf16};
  DecodeRun four = one;
  four.batch = 4;
  const CostLayer layer = cost_model(model("mqa")).layers[0];
  const DecodeTime alone = layer_decode_time(layer, 512, one, machine),
                   together = layer_decode_time(layer, 512, four, machine);
  EXPECT_NEAR(together.products, 2.5 * alone.products, 1e-12);
  EXPECT_NEAR(together.attention, 4 * alone.attention, 1e-12);
  // The classifier is multiplied for each sequence on its own.
  EXPECT_NEAR(output_decode_time(512, 1000, four, machine).products,
              4 * output_decode_time(512, 1000, one, machine).products, 1e-12);
}

TEST(DecodeTime, AWindowCutsTheCache) {
  CostLayer layer = cost_model(model("gqa")).layers[0];
  const Hardware machine = measured_machine();
  const auto attention = [&](int64_t context) {
    return layer_decode_time(layer, 512, {.context = context, .weights = DType::f32, .kv = DType::bf16}, machine)
        .attention;
  };
  const double at_window = attention(2048);
  layer.attention.window = 2048;
  EXPECT_DOUBLE_EQ(attention(100000), at_window);
}

// Products and attention as layer_cost counts them in its own way, without norms, softmax and the like.
double product_flops(const ModelConfig& config, int64_t context) {
  const CostModel counted = cost_model(config);
  double flops = outside_cost(counted, context).decode[FlopPart::classifier];
  for (const CostLayer& layer : counted.layers) {
    const Flops decode = layer_cost(layer, {.width = config.width, .context = context}).decode;
    flops += decode[FlopPart::projections] + decode[FlopPart::core] + decode[FlopPart::ffn];
  }
  return flops;
}

// Without measured operations: bytes at the bandwidth, as far as FLOPs do not take longer.
TEST(DecodeTime, OnABandwidthIsARoofline) {
  for (const char* preset : {"mha", "mqa", "gqa", "mla", "mfa", "mfa-kr"}) {
    const ModelConfig config = model(preset);
    const DecodeRun run{.context = 4096};
    Hardware slow_memory = roofline_machine(), slow_arithmetic = roofline_machine();
    slow_memory.flops_bf16 = 1e30;
    slow_arithmetic.bytes_per_s = 1e30;
    slow_arithmetic.flops_bf16 = 1e9;
    const double kv = static_cast<double>(capacity_of(config, preset).kv_bytes_per_token) * 4096;
    EXPECT_NEAR(decode_time(config, run, slow_memory).attention, kv / 1e9, 1e-9 * kv / 1e9) << preset;
    const double flops = product_flops(config, 4096);
    EXPECT_NEAR(decode_time(config, run, slow_arithmetic).seconds(), flops / 1e9, 1e-9 * flops / 1e9) << preset;
  }
}

TEST(DecodeRates, AsJsonComeBackTheSame) {
  const DecodeRates rates = round_rates();
  const Json json = Json::parse(decode_rates_to_json(rates).dump());
  EXPECT_EQ(decode_rates_from_json(json, "row"), rates);
}

TEST(DecodeRates, RefusesWhatIsNoRateByName) {
  const Json good = Json::parse(decode_rates_to_json(round_rates()).dump());
  const auto error_of = [&](const char* pointer, const Json& value) -> std::string {
    Json bad = good;
    bad[Json::json_pointer(pointer)] = value;
    try {
      decode_rates_from_json(bad, "row");
    } catch (const BadInput& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_NE(error_of("/fast", 1).find("unknown key, got fast"), std::string::npos);
  EXPECT_NE(error_of("/threads", 0).find("threads"), std::string::npos);
  EXPECT_NE(error_of("/products/0/weights", "q7").find("q7"), std::string::npos);
  EXPECT_NE(error_of("/attention/1/kind", "odd").find("odd"), std::string::npos);
  EXPECT_NE(error_of("/attention/0/alone/seconds", Json::array({1, -1})).find("-1"), std::string::npos);
  EXPECT_NE(error_of("/attention/0/alone/sizes", Json::array({2, 1})).find("growing"), std::string::npos);
  EXPECT_NE(error_of("/attention/0/alone/sizes", Json::array({1})).find("as many"), std::string::npos);
  EXPECT_NE(error_of("/vectors/norm", 3).find("norm"), std::string::npos);
  // What a prediction would look up and not find.
  EXPECT_NE(error_of("/products", Json::array()).find("none with f32 weights"), std::string::npos);
  EXPECT_NE(error_of("/attention", Json::array()).find("none over f32 caches"), std::string::npos);
}

}  // namespace
}  // namespace mfa
