#include "formats/normalizer.h"

#include <chrono>

#include "formats/test_files.h"

namespace mfa {
namespace {

std::string form(const std::string& text, NormalForm form) {
  std::string out;
  return to_normal_form(text, form, out) ? out : text;
}

TEST(NormalForm, Examples) {  // UAX #15 and the Unicode standard, section 3.11 and 3.12
  EXPECT_EQ(form("cafe\u0301", NormalForm::nfc), "caf\u00e9");
  EXPECT_EQ(form("caf\u00e9", NormalForm::nfd), "cafe\u0301");
  EXPECT_EQ(form("\u212b\u2126\u212a", NormalForm::nfc), "\u00c5\u03a9K");  // singletons
  EXPECT_EQ(form("a\u0323\u0307", NormalForm::nfc), "\u1ea1\u0307");
  EXPECT_EQ(form("a\u0307\u0323", NormalForm::nfc), "\u1ea1\u0307");                         // marks are ordered
  EXPECT_EQ(form("\u1112\u1161\u11ab\u1100\u1173\u11af", NormalForm::nfc), "\ud55c\uae00");  // Hangul
  EXPECT_EQ(form("\ud55c", NormalForm::nfd), "\u1112\u1161\u11ab");
  EXPECT_EQ(form("\uac00\u11a8", NormalForm::nfc), "\uac01");
  EXPECT_EQ(form("\ufb01 \u2460 \uff21", NormalForm::nfkc), "fi 1 A");
  EXPECT_EQ(form("\ufb01", NormalForm::nfc), "\ufb01");
  EXPECT_EQ(form("\u0958", NormalForm::nfc), "\u0915\u093c");  // excluded from composition
  EXPECT_EQ(form("\u0301x", NormalForm::nfc), "\u0301x");
  EXPECT_EQ(form("", NormalForm::nfc), "");
}

TEST(NormalForm, SaysWhetherTextChanged) {
  std::string out = "untouched";
  EXPECT_FALSE(to_normal_form("plain", NormalForm::nfc, out));
  EXPECT_FALSE(to_normal_form("é 你好 한글 \u0301", NormalForm::nfc, out));
  EXPECT_EQ(out, "untouched");
  EXPECT_TRUE(to_normal_form("e\u0301", NormalForm::nfc, out));
}

// Marks of two classes in turn, a megabyte of them: an insertion sort would take hours.
TEST(NormalForm, ManyMarksAreNotQuadratic) {
  std::string marks = "a";
  while (marks.size() < 1'000'000) marks += "\u0301\u0323";
  const std::string sorted = form(marks, NormalForm::nfd);
  EXPECT_EQ(sorted.size(), marks.size());
  EXPECT_TRUE(sorted.starts_with("a\u0323\u0323"));
  EXPECT_TRUE(sorted.ends_with("\u0301\u0301"));
}

std::string normalized(std::vector<NormalizerStep> steps, const std::string& text) {
  std::string buffer;
  return std::string(Normalizer(std::move(steps)).apply(text, buffer));
}

TEST(Normalizer, Steps) {
  EXPECT_EQ(normalized({}, "a b"), "a b");
  EXPECT_EQ(normalized({PrependStep{"▁"}}, "a"), "▁a");
  EXPECT_EQ(normalized({PrependStep{"▁"}}, ""), "");
  EXPECT_EQ(normalized({PrependStep{"▁"}, ReplaceStep{" ", "▁"}}, " a  b"), "▁▁a▁▁b");
  EXPECT_EQ(normalized({ReplaceStep{"aa", "b"}}, "aaaaa"), "bba");
  EXPECT_EQ(normalized({ReplaceRegexStep{Regex(R"(\s+)", "test"), "_"}}, "a \n b "), "a_b_");
  EXPECT_EQ(normalized({LowercaseStep{}}, "ÀB\u0130Σ"), "àbi\u0307σ");
  EXPECT_EQ(normalized({StripStep{true, false}}, " \u3000a "), "a ");
  EXPECT_EQ(normalized({StripStep{false, true}}, " a \n"), " a");
  EXPECT_EQ(normalized({StripStep{true, true}}, " \t "), "");
}

TEST(Normalizer, BytesThatAreNoTextPass) {
  EXPECT_EQ(normalized({NormalForm::nfc, LowercaseStep{}},
                       "\xff"
                       "E\u0301\xc3 A"),
            "\xff\u00e9\xc3 a");
  EXPECT_EQ(normalized({StripStep{true, true}}, " \xff "), "\xff");
}

}  // namespace
}  // namespace mfa
