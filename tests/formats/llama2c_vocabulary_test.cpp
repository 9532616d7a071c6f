#include "formats/llama2c_vocabulary.h"

#include "formats/json.h"
#include "formats/test_files.h"
#include "formats/tokenizer.h"

namespace mfa {
namespace {

const fs::path kFile = fs::path(MFA_SHARED) / "data/models/stories260K/tok512.bin";

// The algorithm of run.c, as the notes on the file describe it: join the neighbours with the best score, again and
// again.
std::vector<int32_t> encoded_plainly(const TokenizerDescription& about, const std::string& text) {
  std::map<std::string, int32_t> ids;
  for (size_t id = 0; id < about.pieces.size(); ++id) ids[*about.pieces[id]] = static_cast<int32_t>(id);
  std::vector<int32_t> out;
  std::string marked = text.empty() ? "" : "▁";
  for (const char c : text) marked += c == ' ' ? "▁" : std::string(1, c);
  for (std::string_view rest = marked; !rest.empty();) {
    const size_t n = std::max<size_t>(1, utf8_length(rest));
    const auto found = ids.find(std::string(rest.substr(0, n)));
    if (found != ids.end()) {
      out.push_back(found->second);
    } else {
      for (const char byte : rest.substr(0, n)) out.push_back(static_cast<uint8_t>(byte) + 3);
    }
    rest.remove_prefix(n);
  }
  while (true) {
    float best = -1e10f;
    size_t at = out.size();
    int32_t result = -1;
    for (size_t i = 0; i + 1 < out.size(); ++i) {
      const auto found =
          ids.find(*about.pieces[static_cast<size_t>(out[i])] + *about.pieces[static_cast<size_t>(out[i + 1])]);
      if (found == ids.end() || about.scores[static_cast<size_t>(found->second)] <= best) continue;
      best = about.scores[static_cast<size_t>(found->second)], at = i, result = found->second;
    }
    if (at == out.size()) return out;
    out[at] = result;
    out.erase(out.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

TEST(Llama2cVocabulary, EncodesAsRunCDoes) {
  if (!fs::exists(kFile)) GTEST_SKIP() << kFile << " is not here";
  const MappedFile file(kFile);
  const TokenizerDescription about = describe_llama2c(file.bytes(), "tok512.bin");
  const Tokenizer tokenizer = Tokenizer::from_llama2c(file.bytes(), "tok512.bin");
  const Tokenizer json = Tokenizer::from_json(tokenizer.to_json(), "as JSON");
  EXPECT_EQ(tokenizer.vocab_size(), 512);
  EXPECT_EQ(tokenizer.bos(), 1);
  EXPECT_EQ(tokenizer.eos(), 2);
  EXPECT_EQ(tokenizer.prefix()[0], 1);
  for (const std::string text : {"", "Once upon a time", "  Lily's mom said,\n\"Let's go!\"", "naïve 你好 \x01", " "}) {
    const std::vector<int32_t> expected = encoded_plainly(about, text);
    EXPECT_EQ(tokenizer.encode(text), expected) << text;
    EXPECT_EQ(json.encode(text), expected) << text;
    EXPECT_EQ(tokenizer.decode(expected), text);
  }
}

TEST(Llama2cVocabulary, RefusesWhatIsNoSuchFile) {
  const auto refused = [](const std::string& bytes, const std::string& part) {
    expect_bad_input([&] { Tokenizer::from_llama2c(std::as_bytes(std::span(bytes)), "t.bin"); }, "[t.bin] " + part);
  };
  refused("", "ends within a piece, got 0 bytes, expected 4");
  refused(std::string(4, '\0'), "got 0 pieces, expected at least 259");
  refused(std::string(8, '\0'), "ends within a piece");
  refused(std::string("\x07\0\0\0\0\0\0\0\xff\xff\xff\x7f", 12), "piece 0, got 2147483647 bytes, expected at most 7");
  refused(std::string("\x07\0\0\0\0\0\0\0\x01\0\0\0a", 13), "piece 0, got a, expected <unk>");
}

}  // namespace
}  // namespace mfa
