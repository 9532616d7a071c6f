// Settings that published tokenizer.json files use, against the ids of Hugging Face tokenizers
// (fixtures/tokenizer/make_variants.py).
#include "formats/json.h"
#include "formats/test_files.h"
#include "formats/tokenizer.h"

namespace mfa {
namespace {

using Ids = std::vector<int32_t>;

const Json& golden() {
  static const Json json = parse_json(fixture("tokenizer/variants.json"), "variants.json");
  return json;
}

std::string written(const Json& variant) {
  Json document = variant.at("base") == "bytes" ? Json::parse(fixture("tokenizer/tokenizer.json"))
                                                : golden().at("bases").at("sentencepiece");
  for (const auto& [pointer, value] : variant.at("set").items()) document[Json::json_pointer(pointer)] = value;
  return document.dump();
}

class Variant : public testing::TestWithParam<size_t> {
 protected:
  const Json& about() const { return golden().at("variants").at(GetParam()); }
};

void expect_ids(const Tokenizer& tokenizer, const Json& about) {
  const auto texts = golden().at("texts").get<std::vector<std::string>>();
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(tokenizer.encode(texts[i], true), about.at("ids")[i].get<Ids>()) << texts[i];
    EXPECT_EQ(tokenizer.encode(texts[i]), about.at("plain")[i].get<Ids>()) << texts[i];
  }
  Ids around(tokenizer.prefix().begin(), tokenizer.prefix().end());
  tokenizer.encode(texts[0], around, true);
  around.insert(around.end(), tokenizer.suffix().begin(), tokenizer.suffix().end());
  EXPECT_EQ(around, about.at("around").get<Ids>());
}

TEST_P(Variant, GivesHuggingFacesIds) { expect_ids(Tokenizer::from_json(written(about()), "variant"), about()); }

// What we write for the description that we read means the same.
TEST_P(Variant, WritesWhatItRead) {
  const Tokenizer first = Tokenizer::from_json(written(about()), "variant");
  expect_ids(Tokenizer::from_json(Tokenizer::from_description(first.description(), "again").to_json(), "again"),
             about());
}

std::string name_of(const testing::TestParamInfo<size_t>& info) {
  std::string name = golden().at("variants").at(info.param).at("name");
  for (char& c : name) c = c == '-' ? '_' : c;
  return name;
}

INSTANTIATE_TEST_SUITE_P(Tokenizer, Variant, testing::Range(size_t{0}, golden().at("variants").size()), name_of);

TEST(SentencePiece, RoundTripsAnyBytes) {
  const Tokenizer tokenizer = Tokenizer::from_json(golden().at("bases").at("sentencepiece").dump(), "sentencepiece");
  std::string all = "mixed  ";
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  for (const std::string& text :
       {std::string(), std::string(" "), std::string("  a\n"), all, fixture("tokenizer/text.txt"),
        std::string("\xe2\x82"), std::string(100'000, 'e'), std::string(100'000, ' ')}) {
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  }
}

// Words that begin with ▁ are joined one by one; that must be what joining over the whole text gives. One more merge
// across a ▁, which the texts never use, turns the shortcut off.
TEST(SentencePiece, WordsOneByOneGiveTheWhole) {
  Json whole = golden().at("bases").at("sentencepiece");
  whole["model"]["vocab"]["<s>▁"] = whole["model"]["vocab"].size();
  whole["model"]["merges"].push_back({"<s>", "▁"});
  const Tokenizer slow = Tokenizer::from_json(whole.dump(), "whole");
  const Tokenizer fast = Tokenizer::from_json(golden().at("bases").at("sentencepiece").dump(), "words");
  for (const auto& text : golden().at("texts").get<std::vector<std::string>>()) {
    EXPECT_EQ(fast.encode(text), slow.encode(text)) << text;
  }
  EXPECT_EQ(fast.encode(fixture("tokenizer/text.txt")), slow.encode(fixture("tokenizer/text.txt")));
}

}  // namespace
}  // namespace mfa
