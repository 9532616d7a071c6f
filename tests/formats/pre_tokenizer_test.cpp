#include "formats/pre_tokenizer.h"

#include "formats/test_files.h"

namespace mfa {
namespace {

std::vector<std::string> pieces(const std::vector<std::string>& patterns, const std::string& text) {
  std::vector<Regex> splits;
  for (const std::string& pattern : patterns) splits.emplace_back(pattern, "test");
  std::vector<std::string> out;
  PreTokenizer(std::move(splits)).for_each_piece(text, [&](std::string_view piece) { out.emplace_back(piece); });
  return out;
}

using Pieces = std::vector<std::string>;

TEST(PreTokenizer, Gpt2) {
  const std::vector<std::string> gpt2 = {std::string(kGpt2Pattern)};
  EXPECT_EQ(pieces(gpt2, "I'll  go, 2 x3!\n\n "), (Pieces{"I", "'ll", " ", " go", ",", " 2", " x", "3", "!", "\n\n "}));
  EXPECT_EQ(pieces(gpt2, "日本 ½\u180e"), (Pieces{"日本", " ½", "\u180e"}));  // U+180E is no space
  EXPECT_EQ(pieces(gpt2, ""), Pieces{});
}

TEST(PreTokenizer, InvalidBytesStandAlone) {
  const std::vector<std::string> gpt2 = {std::string(kGpt2Pattern)};
  EXPECT_EQ(pieces(gpt2, "a\xff\xfe b"), (Pieces{"a", "\xff\xfe", " b"}));
  EXPECT_EQ(pieces(gpt2, "  \xc3"), (Pieces{"  ", "\xc3"}));
  EXPECT_EQ(pieces({}, "a b\xff "), Pieces{"a b\xff "});
}

TEST(PreTokenizer, EachSplitCutsWhatIsLeft) {
  EXPECT_EQ(pieces({R"(\p{N}{1,3})", R"([a-z]+)"}, "ab1234-cd"), (Pieces{"ab", "123", "4", "-", "cd"}));
}

TEST(Utf8, ValidPrefix) {
  EXPECT_EQ(valid_utf8_prefix(""), 0u);
  EXPECT_EQ(valid_utf8_prefix("plain ASCII text"), 16u);
  EXPECT_EQ(valid_utf8_prefix("12345678\xff"), 8u);
  for (const std::string valid :
       {"\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_EQ(valid_utf8_prefix(valid), valid.size());
    EXPECT_EQ(valid_utf8_prefix(valid.substr(0, valid.size() - 1)), 0u);  // cut short
  }
  for (const std::string invalid : {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                                    "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
    EXPECT_EQ(valid_utf8_prefix(invalid), 0u);
  }
}

TEST(ByteNames, RoundTripAndRefuse) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string bytes(1, static_cast<char>(byte));
    EXPECT_EQ(from_byte_names(to_byte_names(bytes)), bytes);
  }
  EXPECT_EQ(to_byte_names(" a\n\xff"), "ĠaĊÿ");
  for (const std::string other : {" ", "\u0144", "｜", "\xff", "\n"}) EXPECT_EQ(from_byte_names(other), std::nullopt);
}

TEST(RegexSyntax, TranslatesOniguruma) {
  EXPECT_EQ(to_pcre2_syntax(R"(\u3040\p{L}\P{Han}\p{^Lu})", "t"), R"(\x{3040}\p{L}\P{sc:Han}\p{^Lu})");
  EXPECT_EQ(to_pcre2_syntax(R"([^\r\n\p{L}]?x{1,3}(?i:'s)(?!\d))", "t"), R"([^\r\n\p{L}]?x{1,3}(?i:'s)(?!\d))");
  EXPECT_EQ(pieces({quote_regex("a+[b] \\E{,1}")}, "xa+[b] \\E{,1}y"), (Pieces{"x", "a+[b] \\E{,1}", "y"}));
}

TEST(RegexSyntax, RefusesWhatMeansSomethingElse) {
  for (const std::string pattern :
       {R"(\h)", R"(\w+)", R"(\bx)", R"([a&&b])", "[a[b]]", "(*UTF8)a", "(?R)", "(?C1)", "a{,3}", "(a){2}+", R"(\K)",
        R"(\u12)", R"(\xff)", "a\\", "[]a]", R"(\p{Alphabetic})", "a(", "[a"}) {
    expect_bad_input([&] { Regex regex(pattern, "t.json"); }, "[t.json] regex " + pattern);
  }
  expect_bad_input([] { Regex regex(std::string(1 << 17, 'a'), "t.json"); }, "regex of 131072 bytes");
}

// Endless backtracking ends in an error, not in an endless program.
TEST(RegexSyntax, BacktrackingIsBounded) {
  const Regex regex("(?:a+)+[bc]", "t.json");
  expect_bad_input([&] { regex.find(std::string(40, 'a'), 0); }, "match limit");
}

}  // namespace
}  // namespace mfa
