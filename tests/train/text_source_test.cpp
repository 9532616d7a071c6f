#include "train/text_source.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/random.h"
#include "train/corpus_fixtures.h"
#include "train/safe_cut.h"

namespace mfa {
namespace {

using namespace test;

struct Stream {
  std::vector<std::string> documents;
  std::vector<size_t> cuts;  // sizes of the chunks, one after the other
  std::string unfinished;
};

Stream read_stream(const std::vector<fs::path>& data, size_t chunk_size, size_t hard_limit) {
  TextSource source(find_text_files(data), chunk_size, hard_limit);
  Stream stream;
  TextChunk chunk;
  while (source.next(chunk)) {
    EXPECT_FALSE(chunk.text.empty());
    size_t begin = 0;
    for (const size_t end : chunk.ends) {
      EXPECT_GT(end, begin) << "an empty document";
      stream.documents.push_back(stream.unfinished + chunk.text.substr(begin, end - begin));
      stream.unfinished.clear();
      begin = end;
    }
    // Whole documents, or one piece: text without an end stands alone.
    EXPECT_TRUE(begin == chunk.text.size() || chunk.ends.empty());
    stream.unfinished += chunk.text.substr(begin);
    stream.cuts.push_back(chunk.text.size());
  }
  EXPECT_EQ(stream.unfinished, "");
  return stream;
}

std::string words(uint64_t seed, size_t size) {
  Random random(seed);
  std::string text;
  while (text.size() < size) {
    for (uint64_t letters = 1 + random.below(9); letters > 0; --letters)
      text += static_cast<char>('a' + random.below(26));
    text += random.below(8) == 0 ? "\n\n" : random.below(8) == 0 ? ".\n" : " ";
  }
  return text;
}

TEST(TextSource, GivesBackTheDocumentsInOrder) {
  const TempFolder folder;
  std::vector<std::string> expected;
  std::vector<fs::path> files;
  for (const size_t size : {1, 50, 700'000, 3, 2'500'000, 64}) {
    expected.push_back(words(size, size));
    files.push_back(folder.write(std::to_string(size) + ".txt", expected.back()));
  }
  for (const size_t chunk : {size_t{64}, size_t{1000}, TextSource::chunk_bytes}) {
    const Stream stream = read_stream(files, chunk, TextSource::hard_limit_bytes);
    EXPECT_TRUE(stream.documents == expected) << "chunks of " << chunk;
  }
}

TEST(TextSource, CutsLongDocumentsOnlyAtSafePlaces) {
  const TempFolder folder;
  const std::string text = words(7, 300'000);
  const Stream stream = read_stream({folder.write("a.txt", text)}, 1000, 100'000);
  EXPECT_GT(stream.cuts.size(), 250u);
  size_t position = 0;
  for (size_t i = 0; i + 1 < stream.cuts.size(); ++i) {
    position += stream.cuts[i];
    EXPECT_TRUE(safe_cut_at(text, position)) << position;
  }
}

TEST(TextSource, CutsDoNotDependOnHowTheFileWasRead) {
  const TempFolder folder;
  const std::string text = words(8, 900'000);
  const nlohmann::json line = {{"text", text}};
  const Stream plain = read_stream({folder.write("a.txt", text)}, 5000, 50'000);          // in blocks
  const Stream json = read_stream({folder.write("a.jsonl", line.dump())}, 5000, 50'000);  // in one piece
  EXPECT_EQ(plain.cuts, json.cuts);
}

TEST(TextSource, CutsAStretchWithoutPlacesAtTheHardLimit) {
  const TempFolder folder;
  std::string text;
  while (text.size() < 100'000) text += "中";
  const Stream stream = read_stream({folder.write("a.txt", text)}, 1000, 10'000);
  ASSERT_EQ(stream.documents.size(), 1u);
  EXPECT_TRUE(stream.documents[0] == text);
  ASSERT_EQ(stream.cuts.size(), 11u);
  EXPECT_EQ(stream.cuts[0], 9'999u);  // 10,000 is inside a character of three bytes
}

TEST(TextSource, ReadsJsonLines) {
  const TempFolder folder;
  const std::string text = words(9, 1'000'000);
  const nlohmann::json big = {{"id", 7}, {"text", text}};
  const std::string lines =
      "{\"text\": \"one\\n\\u00e9\"}\r\n\n  \n{\"text\": \"\"}\n" + big.dump() + "\n{\"text\":\"last\"}";
  const std::vector<std::string> expected = {"one\né", text, "last"};
  EXPECT_TRUE(read_stream({folder.write("a.jsonl", lines)}, 1000, 10'000).documents == expected);
  EXPECT_TRUE(read_stream({folder.write("b.jsonl.gz", gzip(lines))}, 1000, 10'000).documents == expected);
  EXPECT_TRUE(read_stream({folder.write("c.jsonl.zst", zstd(lines))}, 1000, 10'000).documents == expected);
}

TEST(TextSource, NamesTheLineOfBadJson) {
  const TempFolder folder;
  const std::pair<std::string, std::string> cases[] = {{"{\"txt\": 1, \"id\": 2}", "no field `text`"},
                                                       {"{\"text\": 1}", "expected a string"},
                                                       {"[1]", "expected an object"},
                                                       {"{\"text\": \"a", "not valid JSON"},
                                                       {"{\"text\": \"\xff\"}", "not valid JSON"}};
  for (const auto& [line, what] : cases) {
    const fs::path path = folder.write("bad.jsonl", "{\"text\": \"fine\"}\n\n" + line + "\n");
    const std::string error = bad_input_of([&] { read_stream({path}, 1000, 1000); });
    EXPECT_TRUE(contains(error, path.string() + ":3") && contains(error, what)) << error;
  }
}

TEST(TextSource, SearchesFolders) {
  const TempFolder folder;
  folder.write("d/b.txt", "b");
  folder.write("d/a/z.txt", "z");
  folder.write("d/c.md.gz", gzip("c"));
  folder.write("d/picture.png", std::string("PNG\0\1", 5));
  folder.write("d/packed.zst", zstd(std::string("\0\0binary", 8)));
  folder.write("d/empty.txt", "");
  folder.write("d/.git/config", "hidden");
  folder.write("d/.hidden", "hidden");
  const fs::path first = folder.write("z-first.txt", "first");
  const Stream stream = read_stream({first, folder.path() / "d"}, 1000, 1000);
  EXPECT_EQ(stream.documents, (std::vector<std::string>{"first", "z", "b", "c"}));
}

TEST(TextSource, RefusesWhatIsNoText) {
  const TempFolder folder;
  const fs::path binary = folder.write("f/binary", std::string("ab\0c", 4)), empty = folder.write("f/empty.txt", "");
  EXPECT_TRUE(contains(bad_input_of([&] { find_text_files({binary}); }), binary.string() + " is binary"));
  EXPECT_TRUE(contains(bad_input_of([&] { find_text_files({empty}); }), empty.string() + " is empty"));
  EXPECT_TRUE(contains(bad_input_of([&] { find_text_files({folder.path() / "f"}); }), (folder.path() / "f").string()));
  EXPECT_TRUE(contains(bad_input_of([&] { find_text_files({folder.path() / "none"}); }), "none does not exist"));
  bad_input_of([&] { find_text_files({}); });
}

}  // namespace
}  // namespace mfa
