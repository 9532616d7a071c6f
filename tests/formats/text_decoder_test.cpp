#include "formats/text_decoder.h"

#include "base/random.h"
#include "formats/test_files.h"

namespace mfa {
namespace {

TEST(WholeCharacters, HoldWhatIsUnfinished) {
  WholeCharacters characters;
  EXPECT_EQ(characters.push("a\xe2"), "a");
  EXPECT_EQ(characters.push("\x82"), "");
  EXPECT_EQ(characters.push("\xac!\xf0\x9f"), "€!");
  EXPECT_EQ(characters.push("\x99"), "");
  EXPECT_EQ(characters.finish(), "\xf0\x9f\x99");
  EXPECT_EQ(characters.finish(), "");
}

TEST(WholeCharacters, PassWhatCannotBecomeACharacter) {
  WholeCharacters characters;
  EXPECT_EQ(characters.push("\xff"), "\xff");
  EXPECT_EQ(characters.push("\xc0\x80\x80\x80\x80"), "\xc0\x80\x80\x80\x80");
  EXPECT_EQ(characters.push("\xe2"), "");
  EXPECT_EQ(characters.push("b"),
            "\xe2"
            "b");
}

// In whatever steps the bytes come: joined they are the same, and each step of valid text is valid.
TEST(WholeCharacters, AnySteps) {
  const std::string text = fixture("tokenizer/text.txt");
  Random random(4);
  for (int round = 0; round < 20; ++round) {
    WholeCharacters characters;
    std::string joined;
    for (size_t at = 0; at < text.size();) {
      const size_t n = random.below(5);
      const std::string step = characters.push(std::string_view(text).substr(at, n));
      ASSERT_EQ(valid_utf8_prefix(step), step.size());
      joined += step;
      at += std::min(n, text.size() - at);
    }
    EXPECT_EQ(joined + characters.finish(), text);
  }
}

// Pieces ▁a, b, ▁, bytes and a control token.
Tokenizer sentencepiece() {
  TokenizerDescription about;
  for (const char* piece : {"<unk>", "<s>", "</s>"}) {
    AddedToken token;
    token.content = piece;
    token.id = static_cast<int32_t>(about.pieces.size());
    token.normalized = false;
    token.special = true;
    about.added.push_back(token);
    about.pieces.emplace_back(piece);
  }
  for (int byte = 0; byte < 256; ++byte) about.pieces.emplace_back(fmt::format("<0x{:02X}>", byte));
  for (const char* piece : {"▁", "a", "b", "▁a"}) about.pieces.emplace_back(piece);
  about.scores.assign(about.pieces.size(), 0.f);
  describe_sentencepiece(about, true);
  merges_from_scores(about, "test");
  return Tokenizer::from_description(std::move(about), "test");
}

std::string streamed(TextDecoder decoder, const std::vector<int32_t>& ids) {
  std::string text;
  for (const int32_t id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

TEST(TextDecoder, DropsTheSpaceBeforeAText) {
  const Tokenizer tokenizer = sentencepiece();
  for (const std::string text : {"", " ", "a", " a", "  ab", "ab a €\n", "\xff a", "a\xe2\x82"}) {
    const std::vector<int32_t> ids = tokenizer.encode(text);
    EXPECT_EQ(streamed(TextDecoder(tokenizer), ids), text);
    EXPECT_EQ(tokenizer.decode(ids), text);
    if (!text.empty()) {
      EXPECT_EQ(streamed(TextDecoder(tokenizer, true), ids), " " + text);
      EXPECT_EQ(tokenizer.decode(ids, true), " " + text);
    }
    std::vector<int32_t> whole = {1};
    whole.insert(whole.end(), ids.begin(), ids.end());
    EXPECT_EQ(streamed(TextDecoder(tokenizer, false, true), whole), text);
    EXPECT_EQ(streamed(TextDecoder(tokenizer), whole), tokenizer.decode(whole));
  }
}

TEST(TextDecoder, NeverEmitsHalfACharacter) {
  const Tokenizer tokenizer = sentencepiece();
  TextDecoder decoder(tokenizer);
  const std::vector<int32_t> ids = tokenizer.encode("€");  // ▁ and three bytes
  ASSERT_EQ(ids.size(), 4u);
  EXPECT_EQ(decoder.push(ids[0]), "");
  EXPECT_EQ(decoder.push(ids[1]), "");
  EXPECT_EQ(decoder.push(ids[2]), "");
  EXPECT_EQ(decoder.push(ids[3]), "€");
}

}  // namespace
}  // namespace mfa
