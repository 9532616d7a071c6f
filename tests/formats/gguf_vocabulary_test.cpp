#include "formats/gguf_vocabulary.h"

#include "formats/gguf_pre_tokenizers.h"
#include "formats/gguf_writer.h"
#include "formats/json.h"
#include "formats/test_files.h"
#include "formats/tokenizer.h"

namespace mfa {
namespace {

const fs::path kData = fs::path(MFA_SHARED) / "data/tokenizers";

std::vector<std::string> texts_of(const std::string& inputs) {
  constexpr std::string_view kEnd = "\n__ggml_vocab_test__\n";
  std::vector<std::string> out;
  for (size_t at = 0, end; (end = inputs.find(kEnd, at)) != std::string::npos; at = end + kEnd.size()) {
    out.push_back(inputs.substr(at, end - at));
  }
  return out;
}

std::vector<std::vector<int32_t>> ids_of(const std::string& lines) {
  std::vector<std::vector<int32_t>> out;
  std::istringstream in(lines);
  for (std::string line; std::getline(in, line);) {
    std::istringstream numbers(line);
    out.emplace_back(std::istream_iterator<int32_t>(numbers), std::istream_iterator<int32_t>());
  }
  return out;
}

// llama.cpp's vectors: ids without BOS and EOS, control tokens taken as text.
void expect_vectors(const Tokenizer& tokenizer, const std::string& name) {
  const auto texts = texts_of(read_file(kData / (name + ".gguf.inp")));
  const auto ids = ids_of(read_file(kData / (name + ".gguf.out")));
  ASSERT_GE(texts.size(), 46u);
  ASSERT_GE(ids.size(), texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(tokenizer.encode(texts[i]), ids[i]) << name << ": " << texts[i];
    if (name != "qwen2") {  // which normalizes
      EXPECT_EQ(tokenizer.decode(ids[i]), texts[i]) << name;
    }
  }
}

TEST(GgufVocabulary, GivesLlamaCppsVectors) {
  if (!fs::exists(kData)) GTEST_SKIP() << kData << " is not here";
  for (const std::string name : {"gpt-2", "deepseek-llm", "llama-spm", "phi-3"}) {
    const Tokenizer tokenizer = Tokenizer::from_gguf(GgufFile(kData / (name + ".gguf")));
    expect_vectors(tokenizer, name);
    const bool bos = name != "gpt-2";
    EXPECT_EQ(tokenizer.prefix().size(), bos ? 1u : 0u) << name;
  }
  expect_vectors(Tokenizer::load(kData / "qwen3/tokenizer.json"), "qwen2");
}

// From GGUF to tokenizer.json, and back from that to GGUF.
TEST(GgufVocabulary, ConvertsBothWays) {
  if (!fs::exists(kData)) GTEST_SKIP() << kData << " is not here";
  for (const std::string name : {"gpt-2", "deepseek-llm", "llama-spm", "phi-3"}) {
    const Tokenizer gguf = Tokenizer::from_gguf(GgufFile(kData / (name + ".gguf")));
    const Tokenizer json = Tokenizer::from_json(gguf.to_json(), name + " as JSON");
    expect_vectors(json, name);
    const GgufVocabulary again = json.to_gguf();
    EXPECT_EQ(again.tokens, gguf.to_gguf().tokens);
    EXPECT_EQ(again.merges, gguf.to_gguf().merges);
    EXPECT_EQ(again.pre, name == "gpt-2" || name == "deepseek-llm" ? name : "default");
    expect_vectors(Tokenizer::from_description(describe_gguf(again, name), name), name);
  }
}

TEST(GgufVocabulary, NamesPublishedPreTokenizers) {
  if (!fs::exists(kData)) GTEST_SKIP() << kData << " is not here";
  for (const auto& [folder, pre] : {std::pair("qwen3", "qwen2"), std::pair("deepseek_v3", "deepseek-v3")}) {
    const Tokenizer tokenizer = Tokenizer::load(kData / folder / "tokenizer.json");
    const GgufVocabulary v = tokenizer.to_gguf();
    EXPECT_EQ(v.pre, pre);
    const Tokenizer again = Tokenizer::from_description(describe_gguf(v, folder), folder);
    const std::string text = fixture("tokenizer/text.txt");
    EXPECT_EQ(again.encode(text, true), tokenizer.encode(text, true));
    EXPECT_EQ(again.eos(), tokenizer.eos());
  }
}

TEST(GgufPreTokenizers, NamesAreUniqueAndPatternsCompile) {
  std::set<std::string_view> names;
  for (const GgufPreTokenizer& one : gguf_pre_tokenizers()) {
    for (const std::string_view name : one.names) EXPECT_TRUE(names.insert(name).second) << name;
    for (const std::string_view pattern : one.patterns) EXPECT_NO_THROW(Regex(pattern, "table")) << pattern;
  }
  EXPECT_EQ(find_gguf_pre_tokenizer("no-such"), nullptr);
}

GgufVocabulary small() {
  GgufVocabulary v;
  v.model = "llama";
  v.tokens = {"<unk>", "<s>", "</s>", "▁", "a", "b", "ab", "▁ab"};
  v.types = {2, 3, 3, 1, 1, 1, 1, 1};
  v.scores = {0, 0, 0, -9, -8, -7, -2, -1};
  v.unknown = 0, v.bos = 1, v.eos = 2;
  return v;
}

TEST(GgufVocabulary, SentencePieceByScore) {
  const Tokenizer tokenizer = Tokenizer::from_description(describe_gguf(small(), "small"), "small");
  EXPECT_EQ(tokenizer.encode("ab b a"), (std::vector<int32_t>{7, 3, 5, 3, 4}));
  EXPECT_EQ(tokenizer.encode("aXYb"), (std::vector<int32_t>{3, 4, 0, 5}));  // one unknown for a run of them
  EXPECT_EQ(tokenizer.encode("<s>"), (std::vector<int32_t>{3, 0}));
  EXPECT_EQ(tokenizer.encode("<s>ab", true), (std::vector<int32_t>{1, 7}));
  EXPECT_EQ(tokenizer.prefix()[0], 1);
  GgufVocabulary bare = small();
  bare.add_space_prefix = false, bare.add_bos = false, bare.add_eos = true;
  const Tokenizer other = Tokenizer::from_description(describe_gguf(bare, "bare"), "bare");
  EXPECT_EQ(other.encode("ab ab"), (std::vector<int32_t>{6, 7}));
  EXPECT_TRUE(other.prefix().empty());
  EXPECT_EQ(other.suffix()[0], 2);
  EXPECT_EQ(other.decode(other.encode(" ab")), " ab");
}

TEST(GgufVocabulary, RefusesByName) {
  const auto refused = [](const std::function<void(GgufVocabulary&)>& change, const std::string& part) {
    GgufVocabulary v = small();
    change(v);
    expect_bad_input([&] { Tokenizer::from_description(describe_gguf(v, "v.gguf"), "v.gguf"); }, "[v.gguf] " + part);
  };
  refused([](auto& v) { v.model = "bert"; }, "tokenizer.ggml.model bert is not supported");
  refused([](auto& v) { v.model = "gpt2", v.pre = "superbpe"; }, "tokenizer.ggml.pre superbpe is not supported");
  refused([](auto& v) { v.tokens.clear(); }, "tokenizer.ggml.tokens is empty");
  refused([](auto& v) { v.scores.pop_back(); }, "tokenizer.ggml.scores, got 7 values, expected 8");
  refused([](auto& v) { v.types.pop_back(); }, "tokenizer.ggml.token_type, got 7 values, expected 8");
  refused([](auto& v) { v.tokens[4] = "b"; }, "tokens 4 and 5 are the same");
  refused([](auto& v) { v.tokens[4] = "\xff"; }, "token 4 is not UTF-8");
  refused([](auto& v) { v.tokens[4] = std::string(300, 'a'); }, "piece 4, got 300 bytes");
  refused([](auto& v) { v.unknown.reset(); }, "model without byte_fallback and without unk_token");
  refused([](auto& v) { v.model = "gpt2", v.merges = {"a"}; }, "a merge of 1 bytes, expected two tokens");
  refused([](auto& v) { v.model = "gpt2", v.merges = {"a a"}; }, "merges make aa, which the vocabulary lacks");
}

TEST(GgufVocabulary, SaysWhatGgufCannotExpress) {
  const auto refused = [](const char* set, const std::string& part) {
    Json json = parse_json(fixture("tokenizer/tokenizer.json"), "fixture");
    json.update(Json::parse(set));
    expect_bad_input([&] { Tokenizer::from_json(json.dump(), "t").to_gguf(); }, part);
  };
  refused(R"({"normalizer": {"type": "Lowercase"}})", "this normalizer and pre-tokenizer have no name in GGUF");
  refused(R"({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": true}})", "have no name in GGUF");
}

}  // namespace
}  // namespace mfa
