#include "base/number_list.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace mfa {
namespace {

using List = std::vector<int64_t>;

TEST(NumberList, TakesNumbersListsAndRanges) {
  EXPECT_EQ(parse_number_list("64", "--x"), List{64});
  EXPECT_EQ(parse_number_list("64,8,64", "--x"), (List{8, 64}));
  EXPECT_EQ(parse_number_list("3..6", "--x"), (List{3, 4, 5, 6}));
  EXPECT_EQ(parse_number_list("32..100:32", "--x"), (List{32, 64, 96}));
  EXPECT_EQ(parse_number_list("7..7:5", "--x"), List{7});
  EXPECT_EQ(parse_number_list("256,16..48:16,20", "--x"), (List{16, 20, 32, 48, 256}));
}

TEST(NumberList, RefusesWhatIsNone) {
  for (const char* text : {"", ",", "1,", "a", "1.5", "-3", "1..", "..5", "5..1", "1..9:0", "1..9:", "1:2", "1..2..3",
                           "0x10", " 1", "99999999999999999999", "0..100000000"}) {
    EXPECT_THROW(parse_number_list(text, "--x"), BadInput) << text;
  }
}

TEST(NumberList, NamesTheFlagAndThePart) {
  try {
    parse_number_list("8,nine", "--heads");
    FAIL();
  } catch (const BadInput& error) {
    EXPECT_NE(std::string(error.what()).find("--heads, got nine, expected"), std::string::npos) << error.what();
  }
}

TEST(Count, TakesSuffixes) {
  EXPECT_EQ(parse_count("1200", "--x"), 1200);
  EXPECT_EQ(parse_count("350M", "--x"), 350000000);
  EXPECT_EQ(parse_count("1.2B", "--x"), 1200000000);
  EXPECT_EQ(parse_count("1.1K", "--x"), 1100);
  EXPECT_EQ(parse_count("1e6", "--x"), 1000000);
  for (const char* text : {"", "M", "1X", "-1", "nan", "inf", "9999T", "1 B"})
    EXPECT_THROW(parse_count(text, "--x"), BadInput) << text;
}

}  // namespace
}  // namespace mfa
