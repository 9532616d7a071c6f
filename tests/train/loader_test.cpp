#include "train/loader.h"

#include <gtest/gtest.h>

#include <set>

#include "train/corpus_fixtures.h"

namespace mfa {
namespace {

using namespace test;

constexpr int32_t eod = 50000;

// Tokens 0, 1, 2, …, so that a window shows where it began; documents end at the places given.
TokenFile counting_file(const TempFolder& folder, int32_t count, const std::set<int32_t>& ends = {}) {
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < count; ++i) ids.push_back(ends.contains(i) ? eod : i);
  const fs::path path = folder.path() / "c.tokens";
  TokenFileWriter writer(path, eod + 1, eod);
  writer.append(ids, count);
  writer.commit();
  return TokenFile(path);
}

std::vector<int32_t> first_tokens(const Batch& batch) {
  std::vector<int32_t> firsts;
  for (int64_t s = 0; s < batch.sequences; ++s) firsts.push_back(batch.ids[static_cast<size_t>(s * batch.context)]);
  return firsts;
}

TEST(Loader, EpochHoldsEachWindowOnce) {
  const TempFolder folder;
  const int64_t context = 16;
  const TokenFile tokens = counting_file(folder, 1003);
  Loader loader(tokens, context, 1);
  ASSERT_EQ(loader.windows_per_epoch(), (1003 - 16) / 16);
  std::vector<std::vector<int32_t>> orders;
  std::set<int32_t> offsets;
  for (int epoch = 0; epoch < 8; ++epoch) {
    Batch batch;
    loader.next(loader.windows_per_epoch(), batch);
    const std::vector<int32_t> firsts = first_tokens(batch);
    const std::set<int32_t> sorted(firsts.begin(), firsts.end());
    ASSERT_EQ(sorted.size(), firsts.size());
    const int32_t offset = *sorted.begin();
    EXPECT_LT(offset, context);
    EXPECT_EQ(*sorted.rbegin(), offset + (loader.windows_per_epoch() - 1) * context);  // contiguous windows
    offsets.insert(offset);
    orders.push_back(firsts);
    for (size_t i = 0; i < batch.ids.size(); ++i) ASSERT_EQ(batch.targets[i], batch.ids[i] + 1);
  }
  EXPECT_GT(offsets.size(), 2u);
  EXPECT_NE(orders[0], orders[1]);
}

TEST(Loader, PositionIsAllTheState) {
  const TempFolder folder;
  const TokenFile tokens = counting_file(folder, 500, {100, 101, 250});
  Loader loader(tokens, 7, 42);
  std::vector<Batch> batches(60);  // five windows each: more than four epochs
  for (Batch& batch : batches) loader.next(5, batch);
  EXPECT_EQ(loader.position(), 300);
  for (const int64_t at : {59, 0, 31, 14}) {
    Loader other(tokens, 7, 42);
    other.seek(5 * at);
    Batch batch;
    other.next(5, batch);
    EXPECT_EQ(batch.ids, batches[static_cast<size_t>(at)].ids);
    EXPECT_EQ(batch.targets, batches[static_cast<size_t>(at)].targets);
    loader.seek(5 * at);  // backwards too
    loader.next(5, batch);
    EXPECT_EQ(batch.ids, batches[static_cast<size_t>(at)].ids);
  }
  Loader other(tokens, 7, 43);
  Batch batch;
  other.next(5, batch);
  EXPECT_NE(batch.ids, batches[0].ids);
}

TEST(Loader, WindowsInterleaveAsOneProcessWouldTakeThem) {
  const TempFolder folder;
  const TokenFile tokens = counting_file(folder, 400);
  Loader one(tokens, 8, 3), two(tokens, 8, 3);
  Batch big, small;
  one.next(6, big);
  std::vector<int32_t> joined;
  for (int i = 0; i < 3; ++i) {
    two.next(2, small);
    joined.insert(joined.end(), small.ids.begin(), small.ids.end());
  }
  EXPECT_EQ(joined, big.ids);
}

TEST(Loader, SeparatesDocuments) {
  const TempFolder folder;
  const TokenFile tokens = counting_file(folder, 9, {2, 3, 7});
  Batch batch;
  ASSERT_TRUE(read_windows(tokens, 8, 0, 1, batch));
  EXPECT_EQ(batch.ids, (std::vector<int32_t>{0, 1, eod, eod, 4, 5, 6, eod}));
  EXPECT_EQ(batch.targets, (std::vector<int32_t>{1, eod, -1, -1, 5, 6, eod, -1}));
  EXPECT_EQ(batch.doc_start, (std::vector<int32_t>{0, 0, 0, 3, 4, 4, 4, 4}));
  EXPECT_TRUE(batch.documents);
  ASSERT_TRUE(read_windows(tokens, 3, 0, 1, batch));  // an end as the last token: still one document
  EXPECT_FALSE(batch.documents);
}

TEST(Loader, TakesTheShortestFile) {
  const TempFolder folder;
  for (int32_t size = 9; size < 40; ++size) {
    const TokenFile tokens = counting_file(folder, size);
    Loader loader(tokens, 8, 1);
    EXPECT_EQ(loader.windows_per_epoch(), std::max(1, (size - 8) / 8));
    Batch batch;
    for (int i = 0; i < 50; ++i) loader.next(1, batch);
  }
  const TokenFile tokens = counting_file(folder, 8);
  EXPECT_TRUE(contains(bad_input_of([&] { Loader loader(tokens, 8, 1); }), "got 8 tokens, expected at least 9"));
}

TEST(Loader, ValidatesOverEachWindowInOrder) {
  const TempFolder folder;
  const TokenFile tokens = counting_file(folder, 50);
  std::vector<int32_t> firsts;
  Batch batch;
  for (int64_t at = 0; read_windows(tokens, 8, at, 4, batch); at += batch.sequences) {
    const std::vector<int32_t> more = first_tokens(batch);
    firsts.insert(firsts.end(), more.begin(), more.end());
  }
  EXPECT_EQ(firsts, (std::vector<int32_t>{0, 8, 16, 24, 32, 40}));
  const TokenFile exact = counting_file(folder, 8);
  EXPECT_FALSE(read_windows(exact, 8, 0, 1, batch));
}

}  // namespace
}  // namespace mfa
