#include "train/byte_reader.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "train/corpus_fixtures.h"

namespace mfa {
namespace {

using namespace test;

std::string read_all(const fs::path& path, size_t step) {
  const auto reader = open_reader(path);
  std::string all, buffer(step, '\0');
  while (const size_t n = reader->read(buffer)) {
    all.append(buffer, 0, n);
    if (n < step) break;
  }
  EXPECT_EQ(reader->position(), static_cast<int64_t>(fs::file_size(path)));
  return all;
}

// Half of it does not compress, so that a member is larger than the reader's buffer of 256 KiB.
std::string mixed_text(size_t size) {
  Random random(1);
  std::string text;
  while (text.size() < size / 2) text += static_cast<char>(random.below(256));
  while (text.size() < size) text += "all work and no play ";
  return text;
}

TEST(ByteReader, GivesTheSameBytesFromPlainGzipAndZstd) {
  const TempFolder folder;
  const std::string text = mixed_text(1'500'000);
  const fs::path plain = folder.write("a.txt", text), gz = folder.write("a.txt.gz", gzip(text)),
                 zst = folder.write("a.txt.zst", zstd(text));
  for (const size_t step : {size_t{1000}, size_t{262144}, size_t{4000000}})
    for (const fs::path& path : {plain, gz, zst}) EXPECT_TRUE(read_all(path, step) == text) << path << " by " << step;
}

TEST(ByteReader, ReadsSeveralMembersAndPadding) {
  const TempFolder folder;
  const std::string a = mixed_text(400'000), b = "second\n", empty;
  EXPECT_TRUE(read_all(folder.write("m.gz", gzip(a) + gzip(empty) + gzip(b)), 4096) == a + b);
  EXPECT_TRUE(read_all(folder.write("p.gz", gzip(a) + std::string(600, '\0')), 4096) == a);
  EXPECT_TRUE(read_all(folder.write("m.zst", zstd(a) + zstd(empty) + zstd(b)), 4096) == a + b);
}

TEST(ByteReader, NamesADamagedFile) {
  const TempFolder folder;
  const std::string text = mixed_text(600'000), gz = gzip(text), zst = zstd(text);
  std::string gz_flipped = gz, zst_flipped = zst;
  gz_flipped[gz.size() - 6] ^= 1;  // in the checksum of the content
  zst_flipped[zst.size() - 2] ^= 1;
  const std::pair<std::string, std::string> cases[] = {{"cut.gz", gz.substr(0, gz.size() / 2)},
                                                       {"tail.gz", gz.substr(0, gz.size() - 3)},
                                                       {"flipped.gz", gz_flipped},
                                                       {"none.gz", ""},
                                                       {"text.gz", "this is no gzip stream"},
                                                       {"behind.gz", gz + "rubbish"},
                                                       {"cut.zst", zst.substr(0, zst.size() / 2)},
                                                       {"tail.zst", zst.substr(0, zst.size() - 1)},
                                                       {"flipped.zst", zst_flipped},
                                                       {"text.zst", "this is no zstd stream"},
                                                       {"none.zst", ""},
                                                       {"behind.zst", zst + "rubbish"}};
  for (const auto& [name, bytes] : cases) {
    const fs::path path = folder.write(name, bytes);
    const std::string error = bad_input_of([&] { read_all(path, 65536); });
    EXPECT_TRUE(contains(error, path.string())) << name << ": " << error;
  }
}

TEST(ByteReader, RefusesWhatIsNoFile) {
  const TempFolder folder;
  EXPECT_TRUE(contains(bad_input_of([&] { open_reader(folder.path() / "missing"); }), "missing"));
  EXPECT_TRUE(contains(bad_input_of([&] { open_reader(folder.path()); }), "not a regular file"));
}

}  // namespace
}  // namespace mfa
