#include "formats/gguf_writer.h"
#include "formats/json.h"
#include "formats/mutations.h"
#include "formats/test_files.h"
#include "formats/tokenizer.h"

namespace mfa {
namespace {

void use(const Tokenizer& tokenizer) {
  static const std::string text = fixture("tokenizer/text.txt").substr(0, 2000) + "\xff";
  tokenizer.decode(tokenizer.encode(text, true));
  tokenizer.encode(text);
}

TEST(TokenizerMutations, ByteLevelJson) {
  for (const std::string name : {"tokenizer/tokenizer.json", "tokenizer/split.json"}) {
    const std::string good = Json::parse(fixture(name)).dump();  // without white space: every byte matters
    expect_survives(good, 1, 700, [](const std::string& bad) { use(Tokenizer::from_json(bad, "damaged")); });
  }
}

TEST(TokenizerMutations, SentencePieceJson) {
  const Json variants = Json::parse(fixture("tokenizer/variants.json"));
  const std::string good = variants.at("bases").at("sentencepiece").dump();
  expect_survives(good, 2, 700, [](const std::string& bad) { use(Tokenizer::from_json(bad, "damaged")); });
}

TEST(TokenizerMutations, TokenizerConfig) {
  const std::string good =
      R"({"add_bos_token":true,"bos_token":{"content":"<|endoftext|>","lstrip":false},"eos_token":"<|endoftext|>"})";
  const fs::path folder = fs::path(testing::TempDir()) / fmt::format("mfa_config_{}", ::getpid());
  fs::create_directories(folder);
  write_file(folder / "tokenizer.json", fixture("tokenizer/tokenizer.json"));
  expect_survives(good, 3, good.size(), [&](const std::string& bad) {
    write_file(folder / "tokenizer_config.json", bad);
    use(Tokenizer::load(folder / "tokenizer.json"));
  });
  fs::remove_all(folder);
}

// The fixture's pieces, scored by their order, as SentencePiece scores them.
GgufVocabulary sentencepiece() {
  const Json variants = Json::parse(fixture("tokenizer/variants.json"));
  const Tokenizer tokenizer = Tokenizer::from_json(variants.at("bases").at("sentencepiece").dump(), "good");
  GgufVocabulary v;
  v.model = "llama", v.pre = "default";
  for (const auto& piece : tokenizer.description().pieces) {
    v.scores.push_back(-static_cast<float>(v.tokens.size()));
    v.types.push_back(v.tokens.empty() ? 2 : v.tokens.size() < 3 ? 3 : 1);
    v.tokens.push_back(*piece);
  }
  return v;
}

std::string gguf_of(const GgufVocabulary& v, const fs::path& file) {
  GgufWriter out;
  out.add_string("tokenizer.ggml.model", v.model);
  out.add_string("tokenizer.ggml.pre", v.pre);
  out.add_u32("tokenizer.ggml.bos_token_id", 1);
  out.add_u32("tokenizer.ggml.unknown_token_id", 0);
  out.add_bool("tokenizer.ggml.add_bos_token", true);
  out.add_i32s("tokenizer.ggml.token_type", v.types);
  if (!v.scores.empty()) out.add_f32s("tokenizer.ggml.scores", v.scores);
  if (!v.merges.empty()) out.add_strings("tokenizer.ggml.merges", v.merges);
  out.add_strings("tokenizer.ggml.tokens", v.tokens);
  out.write(file, {}, {});
  return read_file(file);
}

TEST(TokenizerMutations, Gguf) {
  const fs::path file = fs::path(testing::TempDir()) / fmt::format("mfa_{}.gguf", ::getpid());
  const Tokenizer bytes = Tokenizer::from_json(fixture("tokenizer/tokenizer.json"), "good");
  for (const GgufVocabulary& vocabulary : {bytes.to_gguf(), sentencepiece()}) {
    const std::string good = gguf_of(vocabulary, file);
    expect_survives(good, 4, 700, [&](const std::string& bad) {
      write_file(file, bad);
      use(Tokenizer::from_gguf(GgufFile(file)));
    });
  }
  fs::remove(file);
}

TEST(TokenizerMutations, Llama2c) {
  std::string good("\x20\0\0\0", 4);
  const GgufVocabulary v = sentencepiece();
  for (size_t id = 0; id < v.tokens.size(); ++id) {
    const auto length = static_cast<uint32_t>(v.tokens[id].size());
    good.append(reinterpret_cast<const char*>(&v.scores[id]), 4).append(reinterpret_cast<const char*>(&length), 4);
    good += v.tokens[id];
  }
  expect_survives(good, 5, 700, [](const std::string& bad) {
    use(Tokenizer::from_llama2c(std::as_bytes(std::span(bad)), "damaged"));
  });
}

}  // namespace
}  // namespace mfa
