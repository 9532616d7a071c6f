#include "train/train_log.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/file.h"
#include "train/corpus_fixtures.h"

namespace mfa {
namespace {

using namespace test;
using Json = nlohmann::ordered_json;

TEST(TrainLog, WritesALineAtATime) {
  const TempFolder folder;
  const fs::path path = folder.write("log.jsonl", "of an older run\n");
  TrainLog log(path, -1);
  log.append(Json{{"step", 1}, {"loss", 2.5}});
  EXPECT_EQ(read_file(path), "{\"step\":1,\"loss\":2.5}\n");  // before the log is closed
  log.append(Json{{"step", 2}, {"loss", std::numeric_limits<double>::quiet_NaN()}, {"text", "\xff"}});
  EXPECT_EQ(read_file(path), "{\"step\":1,\"loss\":2.5}\n{\"step\":2,\"loss\":null,\"text\":\"\uFFFD\"}\n");
}

TEST(TrainLog, DropsWhatAResumedRunRepeats) {
  const TempFolder folder;
  const std::string head = "{\"config\":{}}\n{\"step\":1}\n{\"step\":2}\n";
  const fs::path path =
      folder.write("log.jsonl", head + "{\"step\":3}\n{\"note\":\"x\"}\n{\"step\":4}\n{\"step\":5,\"lo");
  TrainLog log(path, 2);
  log.append(Json{{"step", 3}});
  EXPECT_EQ(read_file(path), head + "{\"note\":\"x\"}\n{\"step\":3}\n");
}

TEST(TrainLog, ResumesWithoutALog) {
  const TempFolder folder;
  TrainLog log(folder.path() / "log.jsonl", 7);
  EXPECT_EQ(read_file(folder.path() / "log.jsonl"), "");
}

TEST(TrainLog, NamesABadLine) {
  const TempFolder folder;
  const fs::path path = folder.write("log.jsonl", "{\"step\":1}\nnonsense\n");
  EXPECT_TRUE(contains(bad_input_of([&] { TrainLog log(path, 1); }), path.string() + ":2"));
  EXPECT_EQ(read_file(path), "{\"step\":1}\nnonsense\n");
}

}  // namespace
}  // namespace mfa
