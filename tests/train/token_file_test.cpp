#include "train/token_file.h"

#include <gtest/gtest.h>

#include <cstring>

#include "train/corpus_fixtures.h"

namespace mfa {
namespace {

using namespace test;

fs::path write_tokens(const TempFolder& folder, int64_t vocab, const std::vector<int32_t>& ids) {
  const fs::path path = folder.path() / "a.tokens";
  TokenFileWriter writer(path, vocab, 5);
  const std::span<const int32_t> all(ids);
  writer.append(all.first(ids.size() / 2), 10);
  writer.append(all.subspan(ids.size() / 2), 7);
  writer.commit();
  return path;
}

TEST(TokenFile, ReadsWhatWasWritten) {
  const TempFolder folder;
  for (const int64_t vocab : {int64_t{65536}, int64_t{65537}}) {  // the last of u16, the first of u32
    const std::vector<int32_t> ids = {0, 1, 65535, static_cast<int32_t>(vocab - 1), 5, 300};
    const fs::path path = write_tokens(folder, vocab, ids);
    EXPECT_EQ(fs::file_size(path), 64 + ids.size() * (vocab > 65536 ? 4 : 2));
    const TokenFile file(path);
    EXPECT_EQ(file.size(), 6);
    EXPECT_EQ(file.text_bytes(), 17);
    EXPECT_EQ(file.vocab(), vocab);
    EXPECT_EQ(file.end_of_document(), 5);
    std::vector<int32_t> back(6);
    file.read(0, back);
    EXPECT_EQ(back, ids);
    std::vector<int32_t> middle(2);
    file.read(2, middle);
    EXPECT_EQ(middle, (std::vector<int32_t>{ids[2], ids[3]}));
  }
}

TEST(TokenFile, AppearsOnlyWhenComplete) {
  const TempFolder folder;
  {
    TokenFileWriter writer(folder.path() / "a.tokens", 300, -1);
    writer.append(std::vector<int32_t>{1, 2, 3}, 3);
  }
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(TokenFile, RefusesDamage) {
  const TempFolder folder;
  const std::string good = read_file(write_tokens(folder, 1000, {1, 2, 3, 4}));
  const auto with_i64 = [&](size_t offset, int64_t value) {
    std::string bytes = good;
    std::memcpy(bytes.data() + offset, &value, sizeof value);
    return bytes;
  };
  const std::string cases[] = {"",
                               good.substr(0, 40),
                               good.substr(0, good.size() - 1),
                               good + "x",
                               std::string("X") + good.substr(1),
                               with_i64(16, 0),      // no vocabulary
                               with_i64(16, 70000),  // which would need u32
                               with_i64(24, 5),      // one token too many
                               with_i64(24, -4),
                               with_i64(24, INT64_MAX / 2 + 5),  // × 2 bytes overflows
                               with_i64(32, -1)};
  for (const std::string& bytes : cases) {
    const fs::path path = folder.write("bad.tokens", bytes);
    EXPECT_TRUE(contains(bad_input_of([&] { TokenFile file(path); }), path.string()));
  }
}

TEST(TokenFile, RefusesIdsOutsideTheVocabulary) {
  const TempFolder folder;
  const fs::path path = folder.path() / "a.tokens";
  std::string bytes = read_file(write_tokens(folder, 1000, {1, 2, 3, 4}));
  bytes[64 + 4] = static_cast<char>(1000 & 0xff), bytes[64 + 5] = 1000 >> 8;  // the third token becomes 1000
  const TokenFile file(folder.write("b.tokens", bytes));
  std::vector<int32_t> out(2);
  file.read(0, out);
  EXPECT_TRUE(contains(bad_input_of([&] { file.read(1, out); }), "b.tokens"));
}

}  // namespace
}  // namespace mfa
