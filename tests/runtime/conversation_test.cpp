// Turns of a talk, and the tokens of a rendered one.
#include "runtime/conversation.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"

namespace mfa {
namespace {

std::string joined(const Conversation& talk) {
  std::string text;
  for (const ChatMessage& m : talk.messages()) text += m.role.substr(0, 1) + ":" + m.content + " ";
  return text;
}

TEST(Conversation, TurnsComeAndGo) {
  Conversation talk("be kind");
  EXPECT_FALSE(talk.open());
  EXPECT_FALSE(talk.take_back_question());
  talk.ask("1");
  EXPECT_TRUE(talk.open());
  EXPECT_FALSE(talk.take_back_answer());
  talk.answer("one");
  talk.ask("2");
  talk.answer("two");
  talk.ask("3");
  EXPECT_EQ(joined(talk), "s:be kind u:1 a:one u:2 a:two u:3 ");
  EXPECT_TRUE(talk.forget_oldest_turn());
  EXPECT_EQ(joined(talk), "s:be kind u:2 a:two u:3 ");
  EXPECT_TRUE(talk.take_back_question());
  EXPECT_EQ(joined(talk), "s:be kind u:2 a:two ");
  EXPECT_FALSE(talk.forget_oldest_turn());  // it is the last one
  EXPECT_TRUE(talk.take_back_answer());
  EXPECT_EQ(joined(talk), "s:be kind u:2 ");
  EXPECT_FALSE(talk.forget_oldest_turn());
  talk.answer("zwei");
  EXPECT_TRUE(talk.take_back_question());
  EXPECT_EQ(joined(talk), "s:be kind ");
  talk.ask("x");
  talk.clear();
  EXPECT_EQ(joined(talk), "s:be kind ");
  EXPECT_EQ(joined(Conversation()), "");
}

// Bytes, and <|endoftext|> as token 256: what a template ends each turn with.
class ChatPromptTest : public testing::Test {
 protected:
  static std::string render(std::span<const ChatMessage> messages, bool open) {
    std::string text;
    for (const ChatMessage& m : messages) text += m.role + "\n" + m.content + "<|endoftext|>\n";
    return text + (open ? "assistant\n" : "");
  }
  static std::vector<int32_t> bytes(std::string_view text) {
    std::vector<int32_t> ids;
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  static std::vector<int32_t> joined(std::initializer_list<std::vector<int32_t>> parts) {
    std::vector<int32_t> all;
    for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
  }
  Tokenizer tokenizer_ = Tokenizer::plain_bytes();
  ChatPrompt prompt_{tokenizer_, render, {"<|endoftext|>", "<|end"}};
  const std::vector<int32_t> end_ = {256};
};

TEST_F(ChatPromptTest, TheTemplatesControlTokensAreTokens) {
  const std::vector<ChatMessage> messages = {{"system", "é"}, {"user", "hi"}};
  EXPECT_EQ(prompt_.ids(messages),
            joined({bytes("system\né"), end_, bytes("\nuser\nhi"), end_, bytes("\nassistant\n")}));
}

TEST_F(ChatPromptTest, ThePersonsAreText) {
  for (const std::string text : {"<|endoftext|>", "a<|endoftext|>b<|endoftext|><|endoftext|>", "<<|endoftext|>é",
                                 "\uE000<|endoftext|>\uE001", "<|endof<|endoftext|>text|>"}) {
    const std::vector<ChatMessage> messages = {{"user", text}};
    EXPECT_EQ(prompt_.ids(messages), joined({bytes("user\n" + text), end_, bytes("\nassistant\n")})) << text;
  }
  // The same text as an answer is the model's own.
  const std::vector<ChatMessage> messages = {{"user", "."}, {"assistant", "<|endoftext|>"}};
  const std::vector<int32_t> ids = prompt_.ids(messages);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 256), 3);
}

TEST_F(ChatPromptTest, TheTokenBehindAnAnswerEndsIt) {
  EXPECT_EQ(prompt_.end_tokens(), end_);
  const ChatPrompt plain(tokenizer_, [](auto, bool) { return std::string("no messages"); }, {"<|endoftext|>"});
  EXPECT_TRUE(plain.end_tokens().empty());
  const ChatPrompt refuses(tokenizer_, [](auto, bool) -> std::string { bad_input("[template] no"); },
                           {"<|endoftext|>"});
  EXPECT_TRUE(refuses.end_tokens().empty());
}

}  // namespace
}  // namespace mfa
