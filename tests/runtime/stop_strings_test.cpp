// Stop strings over every cut of the text into pieces.
#include "runtime/stop_strings.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/random.h"

namespace mfa {
namespace {

// The definition: the text up to the stop string that is complete first, the longest of those that end together.
std::pair<std::string, bool> twin(const std::string& text, const std::vector<std::string>& stops) {
  for (size_t end = 1; end <= text.size(); ++end) {
    size_t longest = 0;
    for (const std::string& stop : stops)
      if (text.substr(0, end).ends_with(stop)) longest = std::max(longest, stop.size());
    if (longest > 0) return {text.substr(0, end - longest), true};
  }
  return {text, false};
}

TEST(StopStrings, TextEndsBeforeTheFirstOneHoweverItIsCut) {
  Random random(1);
  const std::vector<std::vector<std::string>> sets = {{"ab"},        {"aab", "ba"},      {"aaa"},
                                                      {"abab", "b"}, {"abc", "bc", "c"}, {}};
  for (int trial = 0; trial < 2000; ++trial) {
    const std::vector<std::string>& stops = sets[random.below(sets.size())];
    std::string text;
    for (size_t i = random.below(12); i-- > 0;) text += static_cast<char>('a' + random.below(3));
    StopStrings matcher(stops);
    std::string out;
    for (size_t at = 0; at < text.size();) {
      const size_t n = 1 + random.below(4);
      out += matcher.add(text.substr(at, n));
      at += n;
    }
    const auto [expected, stopped] = twin(text, stops);
    EXPECT_EQ(matcher.stopped(), stopped) << text;
    out += matcher.end();
    EXPECT_EQ(out, expected) << text;
  }
}

TEST(StopStrings, TextIsHeldBackOnlyWhileItMayBecomeOne) {
  StopStrings matcher({"User:"});
  EXPECT_EQ(matcher.add("Hi Us"), "Hi ");
  EXPECT_EQ(matcher.add("e"), "");
  EXPECT_EQ(matcher.add("ful"), "Useful");
  EXPECT_EQ(matcher.add(" U"), " ");
  EXPECT_EQ(matcher.add("ser: yes"), "");
  EXPECT_TRUE(matcher.stopped());
  EXPECT_EQ(matcher.add("more"), "");
  EXPECT_EQ(matcher.end(), "");
}

TEST(StopStrings, TheEndGivesBackWhatWasHeld) {
  StopStrings matcher({"xyz"});
  EXPECT_EQ(matcher.add("axy"), "a");
  EXPECT_EQ(matcher.end(), "xy");
  EXPECT_FALSE(matcher.stopped());
}

TEST(StopStrings, AnEmptyOneIsBadInput) { EXPECT_THROW(StopStrings({"a", ""}), BadInput); }

}  // namespace
}  // namespace mfa
