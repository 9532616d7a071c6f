#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "base/error.h"
#include "temporary_folder.h"

namespace mfa {
namespace {

class File : public testing::Test {
 protected:
  std::vector<std::string> names() const { return names_in(folder_.path()); }
  TemporaryFolder folder_;
};

TEST_F(File, AppearsOnlyWhenCommitted) {
  const fs::path path = folder_.path() / "a";
  {
    AtomicFile file(path);
    file.write("half");
    EXPECT_FALSE(fs::exists(path));
  }
  EXPECT_TRUE(names().empty()) << "an abandoned file leaves nothing behind";
  AtomicFile file(path);
  file.write("whole");
  file.commit();
  EXPECT_EQ(read_file(path), "whole");
  EXPECT_EQ(names(), std::vector<std::string>{"a"});
}

TEST_F(File, KeepsTheOldContentUntilCommitted) {
  const fs::path path = folder_.path() / "a";
  write_file(path, "old");
  {
    AtomicFile file(path);
    file.write("new");
    EXPECT_EQ(read_file(path), "old");
  }
  EXPECT_EQ(read_file(path), "old");
  write_file(path, "new");
  EXPECT_EQ(read_file(path), "new");
  EXPECT_EQ(names(), std::vector<std::string>{"a"});
}

TEST_F(File, PutsALaterHeaderInFront) {
  AtomicFile file(folder_.path() / "a");
  file.write("????body");
  file.write_at(0, std::as_bytes(std::span("head", 4)));
  file.commit();
  EXPECT_EQ(read_file(folder_.path() / "a"), "headbody");
}

TEST_F(File, MappedReaderOfAReplacedFileKeepsItsBytes) {
  const fs::path path = folder_.path() / "a";
  write_file(path, "old");
  const MappedFile mapped(path);
  write_file(path, "new!");
  EXPECT_EQ(mapped.text(), "old");
}

TEST_F(File, MapsEmptyFiles) {
  write_file(folder_.path() / "empty", "");
  EXPECT_EQ(MappedFile(folder_.path() / "empty").size(), 0u);
  EXPECT_EQ(read_file(folder_.path() / "empty"), "");
}

TEST_F(File, MovesItsMapping) {
  write_file(folder_.path() / "a", "text");
  MappedFile first(folder_.path() / "a");
  MappedFile second(std::move(first));
  EXPECT_EQ(second.text(), "text");
  MappedFile third;
  third = std::move(second);
  EXPECT_EQ(third.text(), "text");
}

TEST_F(File, RefusesWhatIsNoFile) {
  EXPECT_THROW(MappedFile(folder_.path() / "missing"), BadInput);
  EXPECT_THROW(MappedFile(folder_.path()), BadInput);
  EXPECT_THROW(AtomicFile(folder_.path() / "missing" / "a"), BadInput);
  EXPECT_THROW(AtomicFile file(folder_.path()), BadInput);
  // A rename over a pipe (or a device) would replace it.
  const fs::path pipe = folder_.path() / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THROW(write_file(pipe, "x"), BadInput);
  EXPECT_TRUE(fs::is_fifo(pipe));
}

TEST_F(File, NamesTheFileInItsErrors) {
  try {
    MappedFile(folder_.path() / "missing.txt");
    FAIL() << "no error";
  } catch (const BadInput& error) {
    EXPECT_NE(std::string(error.what()).find("missing.txt"), std::string::npos);
    EXPECT_EQ(error.exit_status(), 2);
  }
}

TEST_F(File, SaysWhenTheDiskRefuses) {
  // The limit on the size of a file stands for a full disk: write() fails with EFBIG once the signal is ignored.
  const auto limited = [&] {
    rlimit limit{4096, 4096};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    try {
      AtomicFile file(folder_.path() / "big");
      file.write(std::string(10000, 'x'));
      file.commit();
    } catch (const Failure& failure) {
      const bool named = std::string(failure.what()).find("big") != std::string::npos;
      _exit(named && failure.exit_status() == 1 ? 0 : 1);
    }
    _exit(2);
  };
  EXPECT_EXIT(limited(), testing::ExitedWithCode(0), "");
  EXPECT_FALSE(fs::exists(folder_.path() / "big"));
  EXPECT_TRUE(names().empty()) << "the temporary file was left behind";
}

TEST_F(File, MakesFoldersWithTheirParents) {
  make_folder(folder_.path() / "a" / "b");
  make_folder(folder_.path() / "a" / "b");
  EXPECT_TRUE(fs::is_directory(folder_.path() / "a" / "b"));
  write_file(folder_.path() / "file", "");
  EXPECT_THROW(make_folder(folder_.path() / "file"), BadInput);
  EXPECT_THROW(make_folder(folder_.path() / "file" / "below"), BadInput);
}

TEST(Checksum, IsWhatXxh128sumPrints) {
  // `printf '' | xxh128sum` and `printf abc | xxh128sum`.
  EXPECT_EQ(checksum({}), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(checksum(std::as_bytes(std::span("abc", 3))), "06b05ab6733a618578af5f94892f3950");
}

TEST(HumanBytes, CountsInPowersOf1024) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_bytes(uint64_t{3} << 30), "3.0 GiB");
  EXPECT_EQ(human_bytes(uint64_t{5000} << 40), "5000.0 TiB");
}

}  // namespace
}  // namespace mfa
