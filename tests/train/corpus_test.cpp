#include "train/corpus.h"

#include <gtest/gtest.h>

#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/thread_team.h"
#include "train/corpus_fixtures.h"

namespace mfa {
namespace {

using namespace test;

class CorpusTest : public ::testing::Test {
 protected:
  void SetUp() override { set_quiet(true); }
  void TearDown() override { set_num_threads(0), set_quiet(false); }

  CorpusOptions options(std::vector<fs::path> data, std::string tokenizer = "bytes") const {
    CorpusOptions o;
    o.data = std::move(data);
    o.tokenizer = std::move(tokenizer);
    o.cache = folder_.path() / "cache";
    return o;
  }

  TempFolder folder_;
};

std::vector<int32_t> all_ids(const TokenFile& file) {
  std::vector<int32_t> ids(static_cast<size_t>(file.size()));
  file.read(0, ids);
  return ids;
}

std::vector<std::string> documents_of(const Tokenizer& tokenizer, const TokenFile& file) {
  std::vector<std::string> documents(1);
  for (const int32_t id : all_ids(file)) {
    if (id == file.end_of_document()) {
      documents.emplace_back();
    } else {
      documents.back() += tokenizer.token_bytes(id);
    }
  }
  if (documents.back().empty()) documents.pop_back();
  return documents;
}

std::string lines(uint64_t seed, int count) {
  Random random(seed);
  static const char* const words[] = {"the", "cat", "sat", "on",   "a",     "mat",
                                      "and", "it",  "was", "warm", "naïve", "1984"};
  std::string text;
  for (int i = 0; i < count; ++i) {
    for (int w = 0; w < 8; ++w) text += std::string(w > 0 ? " " : "") + words[random.below(std::size(words))];
    text += ".\n";
  }
  return text;
}

std::string json_lines(int documents, int lines_each) {
  std::string out;
  for (int d = 0; d < documents; ++d)
    out += nlohmann::json{{"text", std::to_string(d) + lines(static_cast<uint64_t>(d), lines_each)}}.dump() + "\n";
  return out;
}

TEST_F(CorpusTest, HoldsOutTheEndOfFewDocumentsAtALine) {
  const std::string text = lines(1, 2000);
  const Corpus corpus = prepare_corpus(options({folder_.write("a.txt", text)}));
  const std::string train = corpus.tokenizer.decode(all_ids(corpus.train));
  std::vector<int32_t> held = all_ids(corpus.held_out);
  ASSERT_EQ(held.back(), corpus.tokenizer.eos());
  held.pop_back();
  const std::string held_out = corpus.tokenizer.decode(held);
  EXPECT_TRUE(train + held_out == text);
  EXPECT_EQ(train.back(), '\n');
  // Cut at the first end of a line after the share: at most one line (under 100 bytes) less than it.
  EXPECT_LE(held_out.size(), 0.05 * text.size());
  EXPECT_GE(held_out.size(), 0.05 * text.size() - 100);
  EXPECT_EQ(corpus.bytes, static_cast<int64_t>(text.size()));
  EXPECT_EQ(corpus.documents, 1);
  EXPECT_EQ(corpus.train.text_bytes(), static_cast<int64_t>(train.size()));
  EXPECT_EQ(corpus.held_out.text_bytes(), static_cast<int64_t>(held_out.size()));
}

TEST_F(CorpusTest, HoldsOutWholeDocumentsOfMany) {
  const std::string data = json_lines(400, 5);
  const Corpus corpus = prepare_corpus(options({folder_.write("a.jsonl", data)}));
  const std::vector<std::string> train = documents_of(corpus.tokenizer, corpus.train),
                                 held_out = documents_of(corpus.tokenizer, corpus.held_out);
  EXPECT_EQ(corpus.documents, 400);
  EXPECT_EQ(train.size() + held_out.size(), 400u);
  std::set<std::string> expected, found(train.begin(), train.end());
  found.insert(held_out.begin(), held_out.end());
  for (int d = 0; d < 400; ++d) expected.insert(std::to_string(d) + lines(static_cast<uint64_t>(d), 5));
  EXPECT_TRUE(found == expected);
  // Documents are taken until the share is reached: at most one document (under 1 % here) more than it.
  const double share = static_cast<double>(corpus.held_out.text_bytes()) / static_cast<double>(corpus.bytes);
  EXPECT_GE(share, 0.05);
  EXPECT_LE(share, 0.06);
}

TEST_F(CorpusTest, FallsBackToTheEndWhenDocumentsAreEqual) {
  std::string data;
  for (int d = 0; d < 100; ++d) data += "{\"text\": \"the same document\\nagain and again\"}\n";
  const Corpus corpus = prepare_corpus(options({folder_.write("a.jsonl", data)}));
  EXPECT_EQ(documents_of(corpus.tokenizer, corpus.held_out).size(), 5u);
  EXPECT_EQ(documents_of(corpus.tokenizer, corpus.train).size(), 95u);
}

TEST_F(CorpusTest, TrainsATokenizerThatGivesTheTextBack) {
  CorpusOptions o = options({folder_.write("a.txt", lines(1, 3000)), folder_.write("b.txt", lines(2, 3000))}, "");
  o.vocab = 300;
  const Corpus corpus = prepare_corpus(o);
  EXPECT_LE(corpus.tokenizer.vocab_size(), 300);
  EXPECT_LT(corpus.train.size(), corpus.train.text_bytes() / 2);  // merges were learned
  std::vector<std::string> documents = documents_of(corpus.tokenizer, corpus.train);
  const std::vector<std::string> rest = documents_of(corpus.tokenizer, corpus.held_out);
  ASSERT_EQ(documents.size(), 2u);
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_TRUE(documents[0] == lines(1, 3000));
  EXPECT_TRUE(documents[1] + rest[0] == lines(2, 3000));
}

TEST_F(CorpusTest, ChunksAndThreadsDoNotChangeTheTokens) {
  const std::string text = lines(3, 70'000);  // more than 2 MiB: several chunks
  ASSERT_GT(text.size(), size_t{2} << 20);
  const fs::path path = folder_.write("a.txt", text);
  std::vector<std::vector<int32_t>> results;
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    CorpusOptions o = options({path}, "");
    o.vocab = 320;
    o.cache = folder_.path() / ("cache" + std::to_string(threads));
    const Corpus corpus = prepare_corpus(o);
    results.push_back(all_ids(corpus.train));
    const std::string train = text.substr(0, static_cast<size_t>(corpus.train.text_bytes()));
    EXPECT_TRUE(corpus.tokenizer.encode(train) == results.back());
  }
  EXPECT_TRUE(results[0] == results[1]);
}

TEST_F(CorpusTest, ReusesTheCacheByContent) {
  const std::string text = lines(1, 500);
  const Corpus first = prepare_corpus(options({folder_.write("a.txt", text)}, ""));
  const fs::path meta = folder_.path() / "cache" / first.fingerprint / "meta.json";
  const auto written = fs::last_write_time(meta);
  fs::remove(folder_.path() / "a.txt");
  const Corpus second = prepare_corpus(options({folder_.write("elsewhere/b.txt", text)}, ""));
  EXPECT_EQ(second.fingerprint, first.fingerprint);
  EXPECT_EQ(fs::last_write_time(meta), written);
  EXPECT_EQ(second.tokenizer.fingerprint(), first.tokenizer.fingerprint());
  EXPECT_EQ(all_ids(second.train), all_ids(first.train));
  EXPECT_EQ(second.bytes, first.bytes);
  EXPECT_EQ(second.documents, first.documents);
}

TEST_F(CorpusTest, FingerprintDependsOnContentTokenizerAndSplit) {
  const fs::path path = folder_.write("a.txt", lines(1, 500)), other = folder_.write("b.txt", lines(2, 500));
  CorpusOptions share = options({path}), vocab = options({path}, "");
  share.held_out = 0.1;
  vocab.vocab = 300;
  std::set<std::string> fingerprints;
  for (const CorpusOptions& o :
       {options({path}), options({other}), options({path, other}), share, options({path}, ""), vocab})
    fingerprints.insert(prepare_corpus(o).fingerprint);
  EXPECT_EQ(fingerprints.size(), 6u);
}

TEST_F(CorpusTest, CompressedTextHasTheSameTokens) {
  const std::string text = lines(1, 500);
  const std::vector<int32_t> ids = all_ids(prepare_corpus(options({folder_.write("a.txt", text)})).train);
  EXPECT_EQ(all_ids(prepare_corpus(options({folder_.write("b.txt.gz", gzip(text))})).train), ids);
  EXPECT_EQ(all_ids(prepare_corpus(options({folder_.write("c.txt.zst", zstd(text))})).train), ids);
}

TEST_F(CorpusTest, MakesADamagedCacheAnew) {
  const CorpusOptions o = options({folder_.write("a.txt", lines(1, 500))}, "");
  const Corpus first = prepare_corpus(o);
  const fs::path folder = folder_.path() / "cache" / first.fingerprint;
  const std::vector<int32_t> ids = all_ids(first.train);
  for (const char* name : {"train.tokens", "held_out.tokens", "tokenizer.json", "meta.json"}) {
    const fs::path damaged = folder / name;
    const std::string good = read_file(damaged);
    write_file(damaged, good.substr(0, good.size() / 2));
    EXPECT_EQ(all_ids(prepare_corpus(o).train), ids);
    EXPECT_EQ(read_file(damaged), good) << name;
  }
}

TEST_F(CorpusTest, OpensAGivenTokenizer) {
  const fs::path data = folder_.write("a.txt", lines(1, 500));
  const Corpus trained = prepare_corpus(options({data}, ""));
  const fs::path model = folder_.path() / "model";
  folder_.write("model/tokenizer.json", trained.tokenizer.to_json());
  const Corpus by_folder = prepare_corpus(options({data}, model.string()));
  const Corpus by_file = prepare_corpus(options({data}, (model / "tokenizer.json").string()));
  EXPECT_EQ(all_ids(by_folder.train), all_ids(trained.train));
  EXPECT_EQ(by_folder.fingerprint, by_file.fingerprint);
  EXPECT_TRUE(contains(bad_input_of([&] { prepare_corpus(options({data}, "nowhere")); }), "nowhere does not exist"));
}

TEST_F(CorpusTest, SaysHowShortTheTextIs) {
  const fs::path path = folder_.write("tiny.txt", "abc");
  for (const char* tokenizer : {"bytes", ""}) {
    const std::string error = bad_input_of([&] { prepare_corpus(options({path}, tokenizer)); });
    EXPECT_TRUE(contains(error, path.string()) && contains(error, "got 3 bytes")) << error;
  }
  const fs::path small = folder_.write("small.txt", std::string(100, 'a'));  // 5 % of it is under 16 bytes
  EXPECT_TRUE(contains(bad_input_of([&] { prepare_corpus(options({small})); }), "got 100 bytes, 5 of them held out"));
}

TEST_F(CorpusTest, TakesOneRepeatedByte) {
  for (const char byte : {'a', ' ', '\n', '\xff'})
    for (const char* tokenizer : {"bytes", ""}) {
      const fs::path path = folder_.write("a.txt", std::string(100'000, byte));
      const Corpus corpus = prepare_corpus(options({path}, tokenizer));
      EXPECT_NEAR(corpus.train.text_bytes(), 95'000, 1);  // a line feed at the cut stays on its left
      EXPECT_EQ(corpus.train.text_bytes() + corpus.held_out.text_bytes(), 100'000);
      const std::string train(static_cast<size_t>(corpus.train.text_bytes()), byte);
      EXPECT_TRUE(corpus.tokenizer.decode(all_ids(corpus.train)) == train);
    }
}

TEST_F(CorpusTest, NamesTheCacheFlagWhenItCannotWrite) {
  CorpusOptions o = options({folder_.write("a.txt", lines(1, 500))});
  o.cache = folder_.write("a-file", "in the way");
  const std::string error = bad_input_of([&] { prepare_corpus(o); });
  EXPECT_TRUE(contains(error, "--cache") && contains(error, o.cache.string())) << error;
}

TEST_F(CorpusTest, ChecksItsOptions) {
  CorpusOptions o = options({folder_.write("a.txt", lines(1, 500))}, "");
  for (const double share : {0.0, -1.0, 1.0, std::numeric_limits<double>::quiet_NaN()}) {
    o.held_out = share;
    bad_input_of([&] { prepare_corpus(o); });
  }
  o.held_out = 0.05, o.vocab = 256;
  EXPECT_TRUE(contains(bad_input_of([&] { prepare_corpus(o); }), "vocabulary, got 256"));
}

}  // namespace
}  // namespace mfa
