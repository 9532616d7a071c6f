// Which tokens end a text, from the files of a model folder and from names.
#include "model/end_tokens.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary_folder.h"

namespace mfa {
namespace {

class EndTokens : public testing::Test {
 protected:
  std::vector<int32_t> load(int64_t eos, const Tokenizer* tokenizer = nullptr) const {
    ModelConfig config;
    config.vocab = 257;
    config.eos = eos;
    return load_end_tokens(folder_.path(), config, tokenizer);
  }
  void write(const char* name, std::string_view text) const { write_file(folder_.path() / name, text); }
  TemporaryFolder folder_;
};

using Ids = std::vector<int32_t>;

TEST_F(EndTokens, AreThoseOfConfigGenerationConfigAndTokenizer) {
  EXPECT_EQ(load(-1), Ids{});
  EXPECT_EQ(load(7), Ids{7});
  write("generation_config.json", R"({"eos_token_id": [9, 3, 9]})");
  EXPECT_EQ(load(7), (Ids{3, 7, 9}));
  write("config.json", R"({"eos_token_id": [5]})");
  EXPECT_EQ(load(7), (Ids{3, 5, 7, 9}));
  const Tokenizer bytes = Tokenizer::plain_bytes();  // <|endoftext|> is 256
  EXPECT_EQ(load(7, &bytes), (Ids{3, 5, 7, 9, 256}));
  write("generation_config.json", R"({"eos_token_id": null})");
  write("config.json", "{}");
  EXPECT_EQ(load(-1), Ids{});
}

TEST_F(EndTokens, OutsideTheVocabularyDoNotCount) {
  write("generation_config.json", R"({"eos_token_id": [257, -3, 100000000000, 8]})");
  EXPECT_EQ(load(256), (Ids{8, 256}));
}

TEST_F(EndTokens, ThatAreNoIdsAreBadInput) {
  for (const char* value : {"\"</s>\"", "1.5", "[1, \"x\"]", "{}", "true"}) {
    write("generation_config.json", std::string(R"({"eos_token_id": )") + value + "}");
    EXPECT_THROW(load(1), BadInput) << value;
  }
}

}  // namespace
}  // namespace mfa
