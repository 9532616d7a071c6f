#include "base/error.h"

#include <gtest/gtest.h>

namespace mfa {
namespace {

TEST(Error, CarriesItsExitStatusAndMessage) {
  try {
    bad_input("[where] what, got {}, expected {}", 3, "four");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_status(), 2);
    EXPECT_STREQ(error.what(), "[where] what, got 3, expected four");
  }
  try {
    fail("[disk] {} is full", "here");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_status(), 1);
    EXPECT_STREQ(error.what(), "[disk] here is full");
  }
}

TEST(Error, IsOneShortLine) {
  EXPECT_EQ(one_line("a\nb\tc\x7f"), "a\\x0ab\\x09c\\x7f");
  const std::string cut = one_line(std::string(899, 'x') + "é and more");
  EXPECT_EQ(cut, std::string(899, 'x') + "…");
}

}  // namespace
}  // namespace mfa
