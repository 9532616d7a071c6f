// Which part of a conversation is to be learned.
#include "train/chat_text.h"

#include "train/chat_fixtures.h"
#include "train/chat_tokens.h"
#include "train/corpus_fixtures.h"

namespace mfa {
namespace {

using test::bad_input_of;
using test::contains;
using test::conversation;

std::vector<std::string> learned(const ChatText& chat) {
  std::vector<std::string> parts;
  for (const ByteSpan& span : chat.spans) parts.push_back(chat.text.substr(span.begin, span.end - span.begin));
  return parts;
}

const Conversation kTwoTurns = conversation(
    {{"system", "Be kind."}, {"user", "Hi"}, {"assistant", "Hello!"}, {"user", "Bye"}, {"assistant", "So long."}});

TEST(ChatTextTest, GrowingPrefixesFindTheAssistantsTurns) {
  const ChatText chat = render_conversation(test::chat_ml(), kTwoTurns, "here");
  EXPECT_EQ(learned(chat), (std::vector<std::string>{"Hello!<|im_end|>", "So long.<|im_end|>"}));
}

TEST(ChatTextTest, GenerationBlocksSayTheSame) {
  const ChatText marked = render_conversation(test::chat_ml(true), kTwoTurns, "here");
  const ChatText found = render_conversation(test::chat_ml(), kTwoTurns, "here");
  EXPECT_EQ(marked.text, found.text);
  EXPECT_EQ(marked.spans, found.spans);
}

TEST(ChatTextTest, AnAssistantMayOpenAndAnswerTwice) {
  const Conversation chat =
      conversation({{"assistant", "Yes?"}, {"user", "Hi"}, {"assistant", "a"}, {"assistant", "b"}});
  // Without a prompt before it, the first turn is learned whole, header included.
  EXPECT_EQ(learned(render_conversation(test::chat_ml(), chat, "here")),
            (std::vector<std::string>{"<|im_start|>assistant\nYes?<|im_end|>", "a<|im_end|>", "b<|im_end|>"}));
}

TEST(ChatTextTest, AGenerationPromptMaySayMoreThanTheTurn) {
  const Conversation chat = conversation({{"user", "Hi"}, {"assistant", "Hello"}});
  // The prompt ends with <think>, which the turn has as well.
  EXPECT_EQ(learned(render_conversation(test::thinking(), chat, "here")),
            (std::vector<std::string>{"</think>Hello<end>"}));
}

TEST(ChatTextTest, ATemplateThatRewritesEarlierTurnsIsRefused) {
  const std::string error = bad_input_of([] { render_conversation(test::thinking(), kTwoTurns, "chat.jsonl:7"); });
  EXPECT_TRUE(contains(error, "chat.jsonl:7")) << error;
  EXPECT_TRUE(contains(error, "message 3")) << error;
}

TEST(ChatTextTest, NothingToLearnWithoutAnAssistant) {
  EXPECT_TRUE(render_conversation(test::chat_ml(), conversation({{"user", "Hi"}}), "here").spans.empty());
}

// Bytes are tokens here: what is scored is exactly the spans.
TEST(ChatTokensTest, ScoredTokensAreTheSpans) {
  const ChatText chat = render_conversation(test::chat_ml(), kTwoTurns, "here");
  const ScoredTokens tokens = tokenize_chat(Tokenizer::plain_bytes(), chat);
  ASSERT_EQ(tokens.ids.size(), chat.text.size());
  std::string scored;
  for (size_t i = 0; i < tokens.ids.size(); ++i)
    if (tokens.scored[i]) scored += static_cast<char>(tokens.ids[i]);
  EXPECT_EQ(scored, "Hello!<|im_end|>So long.<|im_end|>");
}

TEST(ChatTokensTest, SpecialTokensInTheTextAreTokens) {
  const Tokenizer bytes = Tokenizer::plain_bytes();
  const ChatText chat{"ask<|endoftext|>answer<|endoftext|>", {{16, 35}}};
  const ScoredTokens tokens = tokenize_chat(bytes, chat);
  ASSERT_EQ(tokens.ids.size(), 3U + 1 + 6 + 1);
  EXPECT_EQ(tokens.ids[3], 256);
  EXPECT_FALSE(tokens.scored[3]);
  EXPECT_TRUE(tokens.scored[4]);
  EXPECT_EQ(tokens.ids[10], 256);
  EXPECT_TRUE(tokens.scored[10]);
}

// "ab cd" merges " cd" into one token, which begins before a span that starts at "cd": the prompt's.
TEST(ChatTokensTest, ATokenThatBeginsBeforeASpanIsThePrompts) {
  BpeTrainer trainer;
  for (int i = 0; i < 50; ++i) trainer.add("ab cd ab cd");
  const Tokenizer tokenizer = trainer.train(270);
  const ScoredTokens tokens = tokenize_chat(tokenizer, {"ab cd ab", {{3, 8}}});
  ASSERT_EQ(tokens.ids.size(), 3U) << "the text was to be three words";
  EXPECT_EQ(tokens.scored, (std::vector<bool>{false, false, true}));
}

}  // namespace
}  // namespace mfa
