// What fits and what the roofline allows, against the same figures worked out by hand.
#include "capacity/cost.h"

#include <gtest/gtest.h>

#include <cmath>

#include "capacity/capacity_table.h"
#include "capacity/named_shapes.h"

namespace mfa {
namespace {

CapacityRow small(std::string_view preset, int64_t context, DType kv = DType::bf16) {
  PresetOptions o;
  o.width = 256;
  o.layers = 4;
  o.vocab = 1000;
  o.heads = 4;
  o.ffn = 512;
  return capacity_of(make_preset(preset, o), preset, {.context = context, .kv_type = kv});
}

TEST(SequencesThatFit, LeaveRoomForTheWeightsAndTakeWholePages) {
  const CapacityRow row = small("mha", 100);
  EXPECT_EQ(weight_bytes(row, DType::bf16), 2.0 * static_cast<double>(row.parameters));
  const double sequence = 128.0 * 4 * 2 * 256 * 2;  // two pages of 64; layers, K and V, width, bf16
  const double weights = weight_bytes(row, DType::bf16);
  EXPECT_EQ(sequences_that_fit(row, DType::bf16, weights + 3 * sequence), 3);
  EXPECT_EQ(sequences_that_fit(row, DType::bf16, weights + 3 * sequence - 1), 2);
  EXPECT_EQ(sequences_that_fit(row, DType::bf16, weights - 1), 0);
}

TEST(SequencesThatFit, CountInt8Scales) {
  const CapacityRow row = small("mfa-kr", 64, DType::i8);  // C = 32: 32 bytes and one scale of two
  const double weights = weight_bytes(row, DType::f32), sequence = 64.0 * 4 * (32 + 2);
  EXPECT_EQ(sequences_that_fit(row, DType::f32, weights + 10 * sequence), 10);
  EXPECT_EQ(sequences_that_fit(row, DType::f32, weights + 10 * sequence - 1), 9);
}

Hardware machine(double bytes_per_s, double flops) {
  Hardware hardware;
  hardware.name = "test";
  hardware.bytes_per_s = bytes_per_s;
  hardware.flops_f32 = flops;
  hardware.usd_per_hour = 3600;
  return hardware;
}

TEST(DecodeStep, ReadsWeightsOnceAndEachCache) {
  const CapacityRow row = small("mha", 100);
  // Of the parameters, the embedding is looked up; tied, it is the classifier too, so all matrices are read.
  const double norms = 256 * (2 * 4 + 1), matrices = static_cast<double>(row.parameters) - norms;
  const double weights = 2 * matrices + 4 * (norms + 256), cache = 100.0 * 4 * 2 * 256 * 2;
  const DecodeStep step = decode_step(row, machine(1e9, 1e15), DType::bf16, 8);
  EXPECT_EQ(step.bytes, weights + 8 * cache);
  EXPECT_TRUE(step.memory_bound);
  EXPECT_DOUBLE_EQ(step.seconds, step.bytes / 1e9);
  EXPECT_DOUBLE_EQ(step.tokens_per_s, 8 / step.seconds);
  EXPECT_DOUBLE_EQ(step.usd_per_million_tokens, 1e6 / step.tokens_per_s);  // a dollar a second
  const DecodeStep slow = decode_step(row, machine(1e15, 1e9), DType::bf16, 8);
  EXPECT_FALSE(slow.memory_bound);
  EXPECT_DOUBLE_EQ(slow.seconds, 8 * row.flops_per_token_decode / 1e9);
}

TEST(DecodeStep, MeetsMoreExpertsInLargerBatches) {
  const CapacityRow row = capacity_of(step3_model(), "step3", {.context = 1});
  const auto bytes = [&](int64_t batch) {
    return decode_step(row, machine(1e12, 1e12), DType::i8, batch).bytes -
           static_cast<double>(batch) * row.work.kv_bytes;
  };
  const double expert = 56 * 3.0 * 7168 * 5120, least = bytes(1) - 3 * expert;
  EXPECT_NEAR(bytes(2), least + 48 * (1 - 45.0 / 48 * 45 / 48) * expert, 1e-9 * bytes(2));
  EXPECT_NEAR(bytes(100000), least + 48 * expert, 1e-9 * bytes(2));
}

TEST(DecodePrice, IsInfiniteWithoutKnownArithmeticAndFreeWithoutAPrice) {
  Hardware hardware = machine(1e9, 0);
  const DecodeWork work{.kv_bytes = 1, .core_flops = 1, .linear_flops = 1, .ffn_flops = 1};
  EXPECT_TRUE(std::isinf(decode_price(work, hardware, 16).total_usd()));
  hardware.flops_f32 = 1e9;
  hardware.usd_per_hour = 0;
  EXPECT_EQ(decode_price(work, hardware, 16).total_usd(), 0);
}

TEST(HardwareAnswer, TakesTheMemoryThatIsAskedForAndTheBatchThatFits) {
  const CapacityRow row = small("mfa", 64);
  const double weights = weight_bytes(row, DType::bf16), sequence = static_cast<double>(row.kv_bytes_context);
  HardwareQuestion question;
  Hardware hardware = machine(1e9, 1e9);
  EXPECT_EQ(answer(row, hardware, question).batch, 1);  // nothing is known about memory
  hardware.memory_bytes = weights + 5 * sequence;
  EXPECT_EQ(answer(row, hardware, question).batch, 5);
  question.memory = weights + 7 * sequence;
  EXPECT_EQ(answer(row, hardware, question).sequences, 7);
  question.batch = 3;
  EXPECT_EQ(answer(row, hardware, question).batch, 3);
  question.memory = 1;
  question.batch.reset();
  EXPECT_EQ(answer(row, hardware, question).batch, 0);
}

TEST(Several, CardsAreOneLargerMachine) {
  const Hardware eight = several(find_hardware(built_in_hardware(), "H800"), 8);
  EXPECT_EQ(eight.name, "8xH800");
  EXPECT_EQ(eight.memory_bytes, 640e9);
  EXPECT_EQ(eight.usd_per_hour, 16);
  EXPECT_EQ(eight.flops(8), 8 * 1.98e15);
  EXPECT_EQ(eight.network_bytes_per_s, 4e11);
}

// The paper's figures (docs/theory.md): cached bytes of a token, and how far below MHA and MLA.
TEST(PaperShapes, PrintThePapersCache) {
  const auto bytes = [](std::string_view shape, std::string_view attention) {
    for (const CapacityRow& row : capacity_of_shape(shape))
      if (row.attention == attention) return static_cast<double>(row.kv_bytes_per_token);
    return 0.0;
  };
  EXPECT_EQ(bytes("paper-1b", "mha"), 163840);
  EXPECT_EQ(bytes("paper-1b", "mfa"), 20480);
  EXPECT_EQ(bytes("paper-1b", "mfa-kr"), 10240);
  EXPECT_EQ(bytes("paper-7b", "mha"), 196608);
  EXPECT_EQ(bytes("paper-7b", "mfa"), 24576);
  EXPECT_EQ(bytes("paper-7b", "mfa-kr"), 12288);
  for (const std::string_view shape : {"paper-1b", "paper-7b"}) {
    EXPECT_EQ(1 - bytes(shape, "mfa") / bytes(shape, "mha"), 0.875);
    EXPECT_EQ(1 - bytes(shape, "mfa-kr") / bytes(shape, "mha"), 0.9375);
    // MLA of 512 + 64 cached numbers.
    EXPECT_NEAR(1 - bytes(shape, "mfa") / bytes(shape, "mla"), 0.111, 0.0005);
    EXPECT_NEAR(1 - bytes(shape, "mfa-kr") / bytes(shape, "mla"), 0.556, 0.0005);
  }
  EXPECT_EQ(bytes("paper-1b", "mla"), 20 * (512 + 64) * 2);
}

TEST(Step3Shape, HasOneRowAVariantOfEqualSize) {
  const std::vector<CapacityRow> rows = capacity_of_shape("step3");
  ASSERT_EQ(rows.size(), 6u);
  for (const CapacityRow& row : rows) {
    EXPECT_NEAR(static_cast<double>(row.parameters) / static_cast<double>(rows[4].parameters), 1, 0.01)
        << row.attention;
  }
  EXPECT_EQ(rows[4].attention, "mfa");
  EXPECT_EQ(rows[4].attention_parameters, int64_t{61} * (169345024 + 2048));
  EXPECT_EQ(rows[3].kv_bytes_per_token, 61 * 576 * 2);
}

TEST(Tables, AreWellFormed) {
  const std::vector<CapacityRow> rows = capacity_of_shape("paper-1b");
  HardwareQuestion question;
  question.hardware = built_in_hardware();
  question.memory = 24e9;
  EXPECT_NE(flops_table(rows).find("classifier"), std::string::npos);
  EXPECT_NE(flops_table(rows).find("embedding"), std::string::npos);
  EXPECT_NE(price_table(rows, question).find("910B"), std::string::npos);
  EXPECT_EQ(price_table(rows, question).find("L20"), std::string::npos);  // no price known
  EXPECT_NE(throughput_table(rows, question).find("memory"), std::string::npos);
  EXPECT_NE(memory_table(rows, question).find("mfa-kr"), std::string::npos);
  const nlohmann::ordered_json json = capacity_json(rows[4], question);
  EXPECT_EQ(json["hardware"].size(), question.hardware.size());
  EXPECT_EQ(json["flops_parts_decode"].size(), static_cast<size_t>(kFlopParts));
  EXPECT_EQ(json["sequences"], sequences_that_fit(rows[4], DType::bf16, 24e9));
}

}  // namespace
}  // namespace mfa
