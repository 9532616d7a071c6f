#include "base/text_table.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace mfa {
namespace {

TEST(TextTable, AlignsColumnsByCodePoints) {
  TextTable table;
  table.add_column("name", TextTable::Align::left);
  table.add_column("loss");
  table.add_row({"mfa", "1.5 ± 0.1"});
  table.add_row({"mfa-kr", "–"});
  EXPECT_EQ(table.render(),
            "name         loss\n"
            "------  ---------\n"
            "mfa     1.5 ± 0.1\n"
            "mfa-kr          –\n");
}

TEST(TextTable, FillsMissingCellsAndEndsLinesCleanly) {
  TextTable table;
  table.add_column("a", TextTable::Align::left);
  table.add_column("b", TextTable::Align::left);
  table.add_row({"x"});
  EXPECT_EQ(table.render(), "a  b\n-  -\nx\n");
}

TEST(Grouped, EveryThreeDigits) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(163840), "163,840");
  EXPECT_EQ(grouped(-100), "-100");
  EXPECT_EQ(grouped(-1234567), "-1,234,567");
  EXPECT_EQ(grouped(std::numeric_limits<int64_t>::min()), "-9,223,372,036,854,775,808");
}

TEST(HumanNumber, ThreeSignificantDigits) {
  EXPECT_EQ(human_number(0), "0");
  EXPECT_EQ(human_number(951), "951");
  EXPECT_EQ(human_number(163840), "164K");
  EXPECT_EQ(human_number(1.2e6), "1.20M");
  EXPECT_EQ(human_number(4.53e10), "45.3G");
  EXPECT_EQ(human_number(999.6), "1.00K") << "rounds to 1000, which belongs to the next suffix";
  EXPECT_EQ(human_number(2.5), "2.50");
  EXPECT_EQ(human_number(-1500), "-1.50K");
  EXPECT_EQ(human_number(NAN), "–");
  EXPECT_EQ(human_number(INFINITY), "–");
}

}  // namespace
}  // namespace mfa
