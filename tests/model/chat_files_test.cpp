#include "model/chat_files.h"

#include "base/error.h"
#include "base/file.h"
#include "base/temporary_folder.h"
#include "formats/gguf_bytes.h"

namespace mfa {
namespace {

TEST(ChatFiles, FolderNamesItsTemplateInThreeWays) {
  const TemporaryFolder folder;
  EXPECT_EQ(load_chat_template(folder.path()), std::nullopt);
  EXPECT_EQ(load_chat_tokens(folder.path()).bos, "");
  const fs::path config = folder.path() / "tokenizer_config.json";
  write_file(config, R"({"bos_token": "<s>", "eos_token": {"content": "</s>"}, "chat_template": "one"})");
  EXPECT_EQ(load_chat_template(folder.path()), "one");
  EXPECT_EQ(load_chat_tokens(folder.path()).bos, "<s>");
  EXPECT_EQ(load_chat_tokens(folder.path()).eos, "</s>");
  write_file(config,
             R"({"chat_template": [{"name": "default", "template": "a"}, {"name": "tool_use", "template": "b"}]})");
  EXPECT_EQ(load_chat_template(folder.path()), "a");
  EXPECT_EQ(load_chat_template(folder.path(), true), "b");
  write_file(folder.path() / "chat_template.jinja", "file");
  EXPECT_EQ(load_chat_template(folder.path()), "file");
}

TEST(ChatFiles, RefusesATemplateThatIsNone) {
  const TemporaryFolder folder;
  write_file(folder.path() / "tokenizer_config.json", R"({"chat_template": 3})");
  EXPECT_THROW(load_chat_template(folder.path()), BadInput);
}

TEST(ChatFiles, GgufHoldsTemplateAndTokens) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "m.gguf";
  GgufBytes b;
  b.header(0, 4).list_pair("tokenizer.ggml.tokens", 8, 3).string("a").string("<s>").string("</s>");
  b.pair("tokenizer.ggml.bos_token_id", 4, 1u).pair("tokenizer.ggml.eos_token_id", 4, 9u);
  write_file(file, b.text_pair("tokenizer.chat_template", "t").bytes());
  EXPECT_EQ(load_chat_template(file), "t");
  EXPECT_EQ(load_chat_template(file, true), "t");
  EXPECT_EQ(load_chat_tokens(file).bos, "<s>");
  EXPECT_EQ(load_chat_tokens(file).eos, "");  // beyond the vocabulary
}

}  // namespace
}  // namespace mfa
