#include "capacity/capacity_table.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "base/text_table.h"

namespace mfa {
namespace {

std::vector<CapacityRow> paper_rows() {
  constexpr std::array<std::string_view, 3> variants = {"mha", "mfa", "mfa-kr"};
  return capacity_of_variants(variants, paper_shape("paper-1b"), "paper-1b");
}

TEST(CapacityJson, HasThePublishedKeysAsNumbers) {
  const nlohmann::ordered_json json = capacity_json(paper_rows()[2]);
  EXPECT_EQ(json["name"], "paper-1b");
  EXPECT_EQ(json["attention"], "mfa-kr");
  EXPECT_EQ(json["kv_bytes_per_token"], 10240);
  for (const char* key : {"parameters", "active_parameters", "attention_parameters", "kv_bytes_per_token", "slsd",
                          "frh", "ter", "flops_per_token_prefill", "flops_per_token_decode", "flops_per_token_train"}) {
    ASSERT_TRUE(json.contains(key)) << key;
    EXPECT_TRUE(json[key].is_number()) << key;
  }
  EXPECT_TRUE(json["ter"].is_number_integer());
  EXPECT_FALSE(json.contains("ter_min"));
}

TEST(CapacityJson, AddsTheRangeWhenLayersDiffer) {
  CapacityRow row;
  row.slsd = {32, 256, 144};
  const nlohmann::ordered_json json = capacity_json(row);
  EXPECT_EQ(json["slsd"], 144);
  EXPECT_EQ(json["slsd_min"], 32);
  EXPECT_EQ(json["slsd_max"], 256);
  EXPECT_EQ(figure_text(row.slsd), "32..256");
}

TEST(CapacityTable, AlignsItsColumns) {
  const std::string text = capacity_table(paper_rows());
  EXPECT_NE(text.find("-87.5 %"), std::string::npos) << text;
  EXPECT_NE(text.find("163,840"), std::string::npos) << text;
  const size_t first = text.find("163,840") + 7 - text.rfind('\n', text.find("163,840"));
  const size_t second = text.find("10,240") + 6 - text.rfind('\n', text.find("10,240"));
  EXPECT_EQ(first, second) << text;
}

TEST(HumanNumber, KeepsThreeDigits) {
  EXPECT_EQ(human_number(0), "0");
  EXPECT_EQ(human_number(951), "951");
  EXPECT_EQ(human_number(12.345), "12.3");
  EXPECT_EQ(human_number(999.6), "1.00K");
  EXPECT_EQ(human_number(163840), "164K");
  EXPECT_EQ(human_number(45.27e9), "45.3G");
  EXPECT_EQ(human_number(-1.5e6), "-1.50M");
  EXPECT_EQ(human_number(std::numeric_limits<double>::quiet_NaN()), "–");
}

TEST(Grouped, PutsCommasBetweenThousands) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(-1000), "-1,000");
  EXPECT_EQ(grouped(-100), "-100");
  EXPECT_EQ(grouped(1234567), "1,234,567");
}

TEST(JsonNumber, WritesWholeNumbersAsIntegers) {
  EXPECT_EQ(json_number(1200).dump(), "1200");
  EXPECT_EQ(json_number(0.5).dump(), "0.5");
  EXPECT_TRUE(json_number(1e300).is_number_float());
}

}  // namespace
}  // namespace mfa
