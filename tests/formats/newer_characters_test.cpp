#include "formats/newer_characters.h"

#include "formats/test_files.h"
#include "formats/utf8.h"

namespace mfa {
namespace {

std::string older(const std::string& text) {
  std::string buffer;
  return std::string(with_older_characters(text, buffer));
}

TEST(NewerCharacters, StandInsHaveTheSameLength) {
  std::string text;
  for (char32_t c = 1; c < 0x33000; ++c) {
    if (c < 0xd800 || c > 0xdfff) append_utf8(c, text);
  }
  const std::string seen = older(text);
  ASSERT_EQ(seen.size(), text.size());
  int changed = 0;
  std::string_view a = text, b = seen;
  while (!a.empty()) {
    const char32_t x = take_character(a), y = take_character(b);
    ASSERT_EQ(a.size(), b.size());
    changed += x != y;
  }
  EXPECT_EQ(changed, 10301);  // as newer_characters.h says
}

TEST(NewerCharacters, Examples) {
  EXPECT_EQ(older("\U0001fa77 \U0001f600"), "\U0001f300 \U0001f600");  // a pink heart of Unicode 15; an older face
  EXPECT_EQ(older("\U0002ebf0\xff"), "\U00010000\xff");
  std::string buffer = "untouched";
  const std::string plain = "plain é 你好";
  EXPECT_EQ(with_older_characters(plain, buffer).data(), plain.data());
  EXPECT_EQ(buffer, "untouched");
}

}  // namespace
}  // namespace mfa
