#include "base/progress.h"

#include <gtest/gtest.h>

#include <string>

namespace mfa {
namespace {

class ProgressTest : public testing::Test {
 protected:
  ProgressTest() { testing::internal::CaptureStderr(); }
  ~ProgressTest() override {
    if (!taken_) testing::internal::GetCapturedStderr();
    set_quiet(false);
  }
  std::string shown() {
    taken_ = true;
    return testing::internal::GetCapturedStderr();
  }

 private:
  bool taken_ = false;
};

// Standard error is a file here, so that the form for logs is what comes: whole lines and no control characters.
TEST_F(ProgressTest, LogFormIsWholeLines) {
  {
    Progress bar("work", 4);
    for (int i = 1; i <= 4; ++i) bar.update(i, "loss 1.5");
  }
  const std::string text = shown();
  EXPECT_EQ(text.find('\r'), std::string::npos);
  EXPECT_EQ(text.back(), '\n');
  EXPECT_NE(text.find("work 100 % 0:00 loss 1.5\n"), std::string::npos) << text;
}

TEST_F(ProgressTest, TheLastLineComesOnce) {
  {
    Progress bar("work", 2);
    bar.update(2);
    bar.update(2);
  }
  const std::string text = shown();
  EXPECT_EQ(text.find("100 %"), text.rfind("100 %")) << text;
}

TEST_F(ProgressTest, AnUnfinishedBarLeavesItsLastLine) {
  {
    Progress bar("work", 10);
    bar.update(5);
  }
  EXPECT_NE(shown().find("work  50 %"), std::string::npos);
}

TEST_F(ProgressTest, AResumedRunStartsWhereItWas) {
  { Progress bar("work", 10, 7); }
  EXPECT_NE(shown().find("work  70 %"), std::string::npos);
}

TEST_F(ProgressTest, NothingToDoIsNoDivisionByZero) {
  { Progress bar("work", 0); }
  EXPECT_NE(shown().find("work   0 %"), std::string::npos);
}

TEST_F(ProgressTest, QuietKeepsWarningsAndErrors) {
  set_quiet(true);
  {
    Progress bar("work", 1);
    bar.update(1);
  }
  note("a note");
  warn("a warning");
  print_error("an error");
  EXPECT_EQ(shown(), "warning: a warning\nerror: an error\n");
}

TEST_F(ProgressTest, AnErrorIsOneLine) {
  print_error("first\nsecond");
  EXPECT_EQ(shown(), "error: first second\n");
}

TEST_F(ProgressTest, WarnsOnceForEachText) {
  for (int i = 0; i < 3; ++i) {
    warn_once("slow path A of this test");
    warn_once("slow path B of this test");
  }
  EXPECT_EQ(shown(), "warning: slow path A of this test\nwarning: slow path B of this test\n");
}

TEST(Clock, NeverGoesBack) {
  double before = now_seconds();
  for (int i = 0; i < 1000; ++i) {
    const double now = now_seconds();
    ASSERT_GE(now, before);
    before = now;
  }
}

}  // namespace
}  // namespace mfa
