// Conversations from disk to packed rows: what is kept, what is held out, what is refused and how it is named.
#include "train/chat_corpus.h"

#include <gtest/gtest.h>

#include "base/progress.h"
#include "train/chat_fixtures.h"
#include "train/corpus_fixtures.h"
#include "train/packed_rows.h"

namespace mfa {
namespace {

using test::bad_input_of;
using test::contains;

class ChatCorpusTest : public testing::Test {
 protected:
  void SetUp() override { set_quiet(true); }

  static std::string line(int i) {
    return fmt::format(
        R"({{"messages": [{{"role": "user", "content": "What is {}?"}}, {{"role": "assistant", "content": )"
        R"("It is {}."}}]}})"
        "\n",
        i, i * i);
  }
  static std::string lines(int n) {
    std::string all;
    for (int i = 0; i < n; ++i) all += line(i);
    return all;
  }
  Corpus prepare(const std::string& name, const std::string& bytes, double held_out = 0.25, int64_t context = 256) {
    const ChatCorpusOptions options{.data = {folder_.write(name, bytes)},
                                    .held_out = held_out,
                                    .context = context,
                                    .cache = folder_.path() / "cache"};
    return prepare_chat_corpus(options, Tokenizer::plain_bytes(), test::chat_ml());
  }
  std::string error_of(const std::string& bytes) {
    return bad_input_of([&] { prepare("chat.jsonl", lines(3) + bytes); });
  }
  // What the rows teach, as text; each conversation's answer ends with <|im_end|>.
  static std::string learned(const TokenFile& file, int64_t context) {
    Batch batch;
    EXPECT_TRUE(read_rows(file, context, 0, 1000, batch));
    std::string text;
    for (const int32_t target : batch.targets)
      if (target >= 0) text += static_cast<char>(target);
    return text;
  }

  test::TempFolder folder_;
};

TEST_F(ChatCorpusTest, EveryAnswerIsInOnePartWhole) {
  const Corpus corpus = prepare("chat.jsonl", lines(20));
  EXPECT_EQ(corpus.documents, 20);
  const std::string train = learned(corpus.train, 256), held_out = learned(corpus.held_out, 256);
  int kept = 0;
  for (int i = 0; i < 20; ++i) {
    const std::string answer = fmt::format("It is {}.<|im_end|>", i * i);
    EXPECT_NE(contains(train, answer), contains(held_out, answer)) << answer;
    kept += contains(held_out, answer);
  }
  EXPECT_EQ(kept, 5);
  EXPECT_FALSE(contains(train + held_out, "What"));
}

TEST_F(ChatCorpusTest, CompressedFilesAndTheCacheGiveTheSame) {
  const Corpus plain = prepare("chat.jsonl", lines(20));
  const Corpus packed = prepare("chat.jsonl.gz", test::gzip(lines(20)));
  EXPECT_EQ(learned(plain.train, 256), learned(packed.train, 256));
  const Corpus again = prepare("chat.jsonl", lines(20));
  EXPECT_EQ(again.fingerprint, plain.fingerprint);
  EXPECT_EQ(learned(again.train, 256), learned(plain.train, 256));
  EXPECT_NE(prepare("chat.jsonl", lines(20), 0.25, 128).fingerprint, plain.fingerprint);
  EXPECT_NE(prepare("chat.jsonl", lines(20), 0.5).fingerprint, plain.fingerprint);
  EXPECT_NE(prepare("chat.jsonl", lines(21)).fingerprint, plain.fingerprint);
}

TEST_F(ChatCorpusTest, ADamagedCacheIsMadeAnew) {
  const Corpus before = prepare("chat.jsonl", lines(20));
  const std::string text = learned(before.train, 256);
  folder_.write("cache/" + before.fingerprint + "/train.tokens", "nothing");
  EXPECT_EQ(learned(prepare("chat.jsonl", lines(20)).train, 256), text);
}

TEST_F(ChatCorpusTest, WhatIsNoConversationIsNamedWithItsLine) {
  EXPECT_TRUE(contains(error_of("{\"messages\": \n"), "chat.jsonl:4"));
  EXPECT_TRUE(contains(error_of("[1]\n"), "chat.jsonl:4"));
  EXPECT_TRUE(contains(error_of("{\"text\": \"x\"}\n"), "`messages`"));
  EXPECT_TRUE(contains(error_of("{\"messages\": []}\n"), "`messages`"));
  EXPECT_TRUE(contains(error_of("{\"messages\": [3]}\n"), "message 0"));
  EXPECT_TRUE(contains(error_of("{\"messages\": [{\"content\": \"x\"}]}\n"), "`role`"));
  EXPECT_TRUE(contains(error_of("{\"messages\": [{\"role\": \"user\", \"content\": 7}]}\n"), "`content`"));
  EXPECT_TRUE(
      contains(error_of("{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"tools\": 1}\n"), "`tools`"));
  EXPECT_TRUE(contains(error_of("{\"messages\": " + std::string(200, '[') + std::string(200, ']') + "}\n"), "deep"));
  EXPECT_TRUE(contains(error_of("{\"messages\": [{\"role\": \"\xff\"}]}\n"), "chat.jsonl:4"));
  // What the template says about a message gets the line before it.
  const std::string refused = error_of("{\"messages\": [{\"role\": \"nobody\", \"content\": \"x\"}]}\n");
  EXPECT_TRUE(contains(refused, "chat.jsonl:4") && contains(refused, "line 3, column 7")) << refused;
}

TEST_F(ChatCorpusTest, LinesHaveALimit) {
  const std::vector<TextFile> files = find_text_files({folder_.write("long.jsonl", lines(3) + std::string(300, 'x'))});
  EXPECT_TRUE(contains(bad_input_of([&] {
                         for_each_chat_line(
                             files, [](ChatLine, int64_t) {}, 200);
                       }),
                       "long.jsonl:4"));
}

TEST_F(ChatCorpusTest, EmptyLinesCountButAreNoConversations) {
  EXPECT_EQ(prepare("chat.jsonl", line(1) + "\n\r\n" + line(2) + "   ").documents, 2);
  EXPECT_TRUE(contains(bad_input_of([&] { prepare("chat.jsonl", line(1) + line(2) + "\n\n7\n"); }), "chat.jsonl:5"));
}

TEST_F(ChatCorpusTest, TooFewOrNothingToLearnIsRefused) {
  EXPECT_TRUE(contains(bad_input_of([&] { prepare("chat.jsonl", line(1)); }), "too few"));
  EXPECT_TRUE(contains(bad_input_of([&] { prepare("chat.txt", line(1)); }), ".jsonl"));
  const std::string question = "{\"messages\": [{\"role\": \"user\", \"content\": \"Anyone?\"}]}\n";
  EXPECT_TRUE(contains(bad_input_of([&] { prepare("chat.jsonl", question + question); }), "to learn"));
  EXPECT_TRUE(contains(bad_input_of([&] { prepare("chat.jsonl", lines(20), 0.25, 8); }), "to learn"));
}

}  // namespace
}  // namespace mfa
