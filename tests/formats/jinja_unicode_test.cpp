// Text as Python sees it. Each answer is Python 3.11's; tests/cli/test_render.py compares every character.
#include <gtest/gtest.h>

#include "formats/jinja/unicode.h"

namespace mfa::jinja {
namespace {

TEST(JinjaUnicode, CharactersThatBecomeSeveral) {
  EXPECT_EQ(to_upper("straße \u0149 \uFB01 \u0390 \u1FB3 \u0587 \u1E9E"),
            "STRASSE \u02BCN FI \u0399\u0308\u0301 \u0391\u0399 \u0535\u0552 \u1E9E");
  EXPECT_EQ(to_title("ßa ŉa ﬁa ᾳ ᾲ ǆ"), "Ssa ʼNa Fia ᾼ Ὰͅ ǅ");
  EXPECT_EQ(to_lower("İẞ"), "i̇ß");
  EXPECT_EQ(to_folded("Straße ﬁ İ ς"), "strasse fi i̇ σ");
  EXPECT_EQ(capitalized("ßA"), "Ssa");
  EXPECT_EQ(swapped_case("ßAbǅ"), "SSaBǅ");
}

TEST(JinjaUnicode, SigmaIsFinalBehindACasedLetterAndBeforeNone) {
  EXPECT_EQ(to_lower("ΟΔΟΣ ΣΑΣ Σ"), "οδος σας σ");
  EXPECT_EQ(to_lower("ΑΣ.Α ΑΣ. ΑΣ̈"), "ασ.α ας. ας̈");  // full stops and marks are looked through
}

TEST(JinjaUnicode, Classes) {
  for (const uint32_t code : {0xAAu, 0x2B0u, 0x2170u, 0x24D0u, 0xDFu}) EXPECT_TRUE(is_lower(code)) << code;
  for (const uint32_t code : {0x2160u, 0x24B6u, 0x1F130u, 0x1E9Eu}) EXPECT_TRUE(is_upper(code)) << code;
  EXPECT_TRUE(is_title(0x1C5) && !is_upper(0x1C5) && !is_lower(0x1C5));
  EXPECT_TRUE(is_digit(0xB2) && is_numeric(0xB2) && !is_decimal(0xB2));
  EXPECT_TRUE(is_numeric(0xBD) && !is_digit(0xBD));
  EXPECT_TRUE(is_decimal(0x663) && is_digit(0x663));
  EXPECT_TRUE(is_space(0x1C) && is_space(0x3000) && !is_space(0x200B));
  EXPECT_TRUE(is_printable(' ') && !is_printable(0xA0) && !is_printable('\n') && !is_printable(0x378));
}

}  // namespace
}  // namespace mfa::jinja
