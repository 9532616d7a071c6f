#include "formats/tokenizer.h"

#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "base/random.h"
#include "formats/json.h"
#include "formats/test_files.h"

namespace mfa {
namespace {

std::string text() { return fixture("tokenizer/text.txt"); }
Tokenizer open(const std::string& name) { return Tokenizer::load(fs::path(MFA_FIXTURES) / "tokenizer" / name); }

// Bytes of any kind, with stretches of valid text between them.
std::string noise(Random& random, size_t pieces) {
  const std::string valid = text();
  std::string out;
  for (size_t i = 0; i < pieces; ++i) {
    for (uint64_t n = random.below(6); n > 0; --n) out += static_cast<char>(random.below(256));
    out += valid.substr(random.below(valid.size()), random.below(30));  // may cut characters apart
  }
  return out;
}

void expect_round_trip(const Tokenizer& tokenizer, const std::string& bytes) {
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(bytes)), bytes);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(bytes, true)), bytes);
}

TEST(Tokenizer, RoundTripsAnyBytes) {
  Random random(1);
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  for (const Tokenizer& tokenizer : {Tokenizer::plain_bytes(), open("tokenizer.json"), open("split.json")}) {
    for (const std::string& bytes :
         {std::string(), std::string(1, '\0'), all, text(), std::string("\xff\xfe"), std::string("a\xc3"),
          std::string("\xed\xa0\x80 surrogate"), std::string("\xc0\xaf overlong"), std::string("\xf4\x90\x80\x80"),
          std::string("  \xff  \xe2\x82 x")}) {
      expect_round_trip(tokenizer, bytes);
    }
    for (int i = 0; i < 50; ++i) expect_round_trip(tokenizer, noise(random, 40));
  }
}

TEST(Tokenizer, PlainBytes) {
  const Tokenizer tokenizer = Tokenizer::plain_bytes();
  EXPECT_EQ(tokenizer.vocab_size(), 257);
  EXPECT_EQ(tokenizer.eos(), 256);
  EXPECT_EQ(tokenizer.bos(), -1);
  EXPECT_EQ(tokenizer.encode("A\xff\n"), (std::vector<int32_t>{65, 255, 10}));
  EXPECT_EQ(tokenizer.encode("A<|endoftext|>", true), (std::vector<int32_t>{65, 256}));
  EXPECT_EQ(tokenizer.encode("<|endoftext|>").size(), 13u);
  EXPECT_EQ(Tokenizer::from_json(tokenizer.to_json(), "again").encode(text()), tokenizer.encode(text()));
}

TEST(Tokenizer, AppendsAndNamesTokens) {
  const Tokenizer tokenizer = Tokenizer::plain_bytes();
  std::vector<int32_t> ids = {7};
  tokenizer.encode("ab", ids);
  EXPECT_EQ(ids, (std::vector<int32_t>{7, 97, 98}));
  EXPECT_EQ(tokenizer.token_bytes(256), "<|endoftext|>");
  for (const int32_t id : {-1, 257, 1 << 30}) {
    expect_bad_input([&] { tokenizer.token_bytes(id); }, std::to_string(id));
    expect_bad_input([&] { tokenizer.decode(std::vector<int32_t>{65, id}); }, std::to_string(id));
  }
}

// Ids that Hugging Face tokenizers made (fixtures/tokenizer/make_golden.py).
TEST(Tokenizer, GivesHuggingFacesIds) {
  const Json golden = parse_json(fixture("tokenizer/ids.json"), "ids.json");
  for (const std::string name : {"tokenizer.json", "split.json"}) {
    const Tokenizer tokenizer = open(name);
    EXPECT_EQ(tokenizer.encode(text()), golden.at(name).get<std::vector<int32_t>>());
    EXPECT_EQ(tokenizer.encode(text(), true), golden.at(name + " special").get<std::vector<int32_t>>());
    EXPECT_NE(golden.at(name), golden.at(name + " special"));
  }
}

TEST(Tokenizer, ReadsDeepSeekV3) {
  const fs::path file = fs::path(MFA_SHARED) / "data/tokenizers/deepseek_v3/tokenizer.json";
  if (!fs::exists(file)) GTEST_SKIP() << file << " is not here";
  const Json golden = parse_json(fixture("tokenizer/ids.json"), "ids.json");
  const Tokenizer tokenizer = Tokenizer::load(file);
  EXPECT_EQ(tokenizer.vocab_size(), 128815);
  EXPECT_EQ(tokenizer.bos(), 0);
  EXPECT_EQ(tokenizer.eos(), 1);
  EXPECT_EQ(tokenizer.encode(text()), golden.at("deepseek_v3").get<std::vector<int32_t>>());
  EXPECT_EQ(tokenizer.encode(text(), true), golden.at("deepseek_v3 special").get<std::vector<int32_t>>());
  EXPECT_EQ(tokenizer.encode("<｜User｜>Hi", true)[0], 128803);
  expect_round_trip(tokenizer, text());
}

TEST(Tokenizer, FingerprintTellsTokenizersApart) {
  const Tokenizer tokenizer = open("tokenizer.json");
  EXPECT_EQ(tokenizer.fingerprint(), Tokenizer::from_json(tokenizer.to_json(), "again").fingerprint());
  EXPECT_NE(tokenizer.fingerprint(), open("split.json").fingerprint());
  EXPECT_NE(tokenizer.fingerprint(), Tokenizer::plain_bytes().fingerprint());
}

// The cache of words is one a thread, for all tokenizers.
TEST(Tokenizer, ThreadsAndTokenizersDoNotDisturbEachOther) {
  const std::string sample = text();
  const std::vector<Tokenizer> tokenizers = {open("tokenizer.json"), open("split.json"), Tokenizer::plain_bytes()};
  std::vector<std::vector<int32_t>> alone;
  for (const Tokenizer& tokenizer : tokenizers) std::thread([&] { alone.push_back(tokenizer.encode(sample)); }).join();
  std::vector<int> wrong(4);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 30; ++i) {
        const size_t which = (i + t) % tokenizers.size();
        wrong[t] += tokenizers[which].encode(sample) != alone[which];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

// A long word takes O(n log n): quadratic work on these 4 MB would take hours.
TEST(Tokenizer, LongWordsAreNotQuadratic) {
  const Tokenizer tokenizer = open("tokenizer.json");
  std::string random_letters;
  Random random(3);
  while (random_letters.size() < 1'000'000) random_letters += static_cast<char>('a' + random.below(26));
  for (const std::string& bytes :
       {random_letters, std::string(1'000'000, 'a'), std::string(1'000'000, ' '), std::string(1'000'000, '\xff')}) {
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(bytes)), bytes);
  }
}

class TokenizerFiles : public FolderTest {};

TEST_F(TokenizerFiles, TokenizerConfigNamesSpecialTokens) {
  const auto load = [&](const std::string& config) {
    write_file(folder_ / "tokenizer.json", fixture("tokenizer/tokenizer.json"));
    write_file(folder_ / "tokenizer_config.json", config);
    return Tokenizer::load(folder_ / "tokenizer.json");
  };
  EXPECT_EQ(load("{}").eos(), 699);
  EXPECT_EQ(load(R"({"eos_token": null})").eos(), -1);
  EXPECT_EQ(load(R"({"eos_token": "<|endoftext|>"})").eos(), 699);
  EXPECT_EQ(load(R"({"bos_token": {"content": "<|endoftext|>"}})").bos(), 699);
  EXPECT_NE(load("{}").fingerprint(), load(R"({"eos_token": null})").fingerprint());
  expect_bad_input([&] { load(R"({"eos_token": "</s>"})"); }, "eos_token, got </s>");
  expect_bad_input([&] { load(R"({"eos_token": 3})"); }, "expected a string");
  expect_bad_input([&] { load("{"); }, "tokenizer_config.json");
  expect_bad_input([&] { Tokenizer::load(folder_ / "none.json"); }, "none.json");
}

// tokenizer.json with one change, by JSON patch.
Tokenizer patched(const std::string& path, const Json& value, const std::string& op = "add") {
  Json json = parse_json(fixture("tokenizer/tokenizer.json"), "fixture");
  json = json.patch(Json::array({{{"op", op}, {"path", path}, {"value", value}}}));
  return Tokenizer::from_json(json.dump(), "t.json");
}

TEST(Tokenizer, RefusesByName) {
  const auto refused = [](const std::string& path, const char* value, const std::string& part) {
    expect_bad_input([&] { patched(path, Json::parse(value)); }, "[t.json] " + part);
  };
  refused("/normalizer", R"({"type":"BertNormalizer"})", "normalizer BertNormalizer is not supported");
  refused("/normalizer", R"({"type":"Sequence","normalizers":[{"type":"Nmt"}]})", "normalizer Nmt");
  refused("/normalizer", R"({"type":"Precompiled","precompiled_charsmap":""})", "normalizer Precompiled");
  refused("/normalizer", R"({"type":"Replace","pattern":{"String":""},"content":"a"})",
          "normalizer Replace of the empty");
  refused("/normalizer", R"({"type":"Replace","pattern":{"Regex":"a*"},"content":"a"})",
          "regex a*: a match of nothing");
  refused("/normalizer", R"("NFC")", "normalizer, got string");
  refused("/decoder", R"({"type":"WordPiece"})", "decoder WordPiece");
  refused("/decoder", R"({"type":"Metaspace"})", "ByteLevel in one of pre_tokenizer and decoder");
  refused("/decoder", R"({"type":"Strip","content":" ","start":1,"stop":0})", "decoder Strip is not supported here");
  refused("/decoder", R"({"type":"Sequence","decoders":[{"type":"Fuse"},
          {"type":"Strip","content":" ","start":0,"stop":1}]})",
          "decoder Strip of other than spaces at the start");
  refused("/decoder", "null", "decoder none");
  refused("/post_processor", R"({"type":"Roman"})", "post_processor Roman");
  refused("/post_processor", R"({"type":"TemplateProcessing","single":[],"special_tokens":{}})",
          "post_processor without");
  refused("/post_processor", R"({"type":"BertProcessing","cls":["a",7000],"sep":["b",1]})", "token 7000 around a text");
  refused("/pre_tokenizer", "null", "ByteLevel in one of");
  refused("/pre_tokenizer", R"({"type":"Whitespace"})", "pre_tokenizer Whitespace");
  refused("/pre_tokenizer", R"({"type":"Sequence","pretokenizers":[{"type":"ByteLevel","add_prefix_space":false},
          {"type":"Metaspace"}]})",
          "pre_tokenizer Metaspace after ByteLevel");
  refused("/pre_tokenizer", R"({"type":"Metaspace","prepend_scheme":"often"})",
          "pre_tokenizer Metaspace with prepend_scheme often");
  refused("/pre_tokenizer", R"({"type":"Split","behavior":"Odd","pattern":{"Regex":"a"}})",
          "pre_tokenizer Split with behavior Odd");
  refused("/pre_tokenizer", R"({"type":"Split","behavior":"Isolated","invert":true,"pattern":{"Regex":"a"}})",
          "ByteLevel in one of");
  refused("/pre_tokenizer", R"({"type":"Split","behavior":"Isolated","pattern":{"Regex":"a("}})", "regex a(");
  refused("/model/type", R"("Unigram")", "model Unigram");
  refused("/model/dropout", "0.1", "dropout");
  refused("/model/end_of_word_suffix", R"("</w>")", "end_of_word_suffix");
  refused("/model/unk_token", R"("xyzzy")", "unk_token, got xyzzy, which the vocabulary lacks");
  refused("/model/vocab", "{}", "merges make");
  refused("/model/vocab/xyzzy", "5", "id 5 is given to two tokens");
  refused("/model/vocab/xyzzy", "-1", "id of xyzzy, got -1");
  refused("/model/vocab/xyzzy", "4294967296", "id of xyzzy, got 4294967296");
  refused("/model/merges/0", R"("q")", "merge, got \"q\", expected two tokens");
  refused("/model/merges/0", R"(["q"])", "merge, got [\"q\"]");
  refused("/model/merges/0", R"("q xyzzy")", "merges make xyzzy, which the vocabulary lacks");
  refused("/added_tokens/0/content", R"("")", "added token 699 is empty");
  refused("/added_tokens/0/id", "3", "id 3 is given to two tokens");
  refused("/added_tokens/0/content", R"("a")", "id of added token a, got 699, expected the vocabulary's 97");
  refused("/added_tokens", "3", "added_tokens, got number");
  expect_bad_input([] { Tokenizer::from_json("[]", "t.json"); }, "[t.json]");
  expect_bad_input([] { Tokenizer::from_json("", "t.json"); }, "[t.json] not valid JSON");
}

TEST(Tokenizer, ReadsDigitsAndLiteralSplits) {
  const Json steps = Json::parse(R"({"type":"Sequence","pretokenizers":[
      {"type":"Digits","individual_digits":true},
      {"type":"Split","behavior":"Isolated","pattern":{"String":"+["}},
      {"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]})");
  const Tokenizer tokenizer = patched("/pre_tokenizer", steps);
  expect_round_trip(tokenizer, text());
  EXPECT_EQ(tokenizer.encode("2026"), (std::vector<int32_t>{'2', '0', '2', '6'}));
}

// Of damaged files, only BadInput or success; and what opens still gives back every byte.
TEST(Tokenizer, SurvivesDamage) {
  const auto peak_kilobytes = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  const long before = peak_kilobytes();
  const std::string sample = text().substr(0, 1000) + "\xff";
  int opened = 0, refused = 0;
  const auto read = [&](const std::string& json) {
    try {
      const Tokenizer tokenizer = Tokenizer::from_json(json, "damaged");
      const std::array<int32_t, 256> bytes = ids_of_bytes(tokenizer.description());
      const bool all_bytes = std::ranges::find(bytes, -1) == bytes.end();
      const std::string again = tokenizer.decode(tokenizer.encode(sample));
      if (all_bytes) {
        EXPECT_EQ(again, sample);
      }
      ++opened;
    } catch (const BadInput&) {
      ++refused;
    }
  };
  Random random(2);
  for (const std::string name : {"tokenizer/tokenizer.json", "tokenizer/split.json"}) {
    const std::string good = Json::parse(fixture(name)).dump();  // without white space: every byte matters
    for (int i = 0; i < 500; ++i) read(good.substr(0, random.below(good.size())));
    for (int i = 0; i < 500; ++i) {
      std::string damaged = good;
      const size_t at = random.below(i % 2 == 0 ? good.size() : 700);  // half of them outside the vocabulary
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << random.below(8)));
      read(damaged);
    }
  }
  EXPECT_GT(opened, 20);
  EXPECT_GT(refused, 1000);  // every truncation at least
  // Two thousand small files: a length believed would show. The bound leaves room for a sanitizer's quarantine.
  EXPECT_LT(peak_kilobytes() - before, 512 * 1024);
}

}  // namespace
}  // namespace mfa
