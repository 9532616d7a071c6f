// Conversations packed into rows: nothing lost, nothing learned that should not be, shuffled by position alone.
#include "train/packed_rows.h"

#include <gtest/gtest.h>

#include <set>

#include "train/corpus_fixtures.h"

namespace mfa {
namespace {

// A conversation whose tokens are first, first + 1, …; the last `answer` of them are scored.
ScoredTokens chat(int32_t first, int64_t size, int64_t answer) {
  ScoredTokens tokens;
  for (int64_t i = 0; i < size; ++i) {
    tokens.ids.push_back(first + static_cast<int32_t>(i));
    tokens.scored.push_back(i >= size - answer);
  }
  return tokens;
}

std::vector<PackedRow> pack(int64_t context, const std::vector<ScoredTokens>& chats) {
  std::vector<PackedRow> rows;
  RowPacker packer(context, [&](const PackedRow& row) { rows.push_back(row); });
  for (const ScoredTokens& c : chats) packer.add(c);
  packer.finish();
  return rows;
}

TEST(RowPackerTest, RowsHoldWholeConversationsAndPadding) {
  const std::vector<PackedRow> rows = pack(8, {chat(10, 4, 2), chat(20, 5, 1)});
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].ids, (std::vector<int32_t>{10, 11, 12, 20, 21, 22, 23, 0}));
  EXPECT_EQ(rows[0].targets, (std::vector<int32_t>{-1, 12, 13, -1, -1, -1, 24, -1}));
  EXPECT_EQ(rows[0].doc_start, (std::vector<int32_t>{0, 0, 0, 3, 3, 3, 3, 7}));
}

TEST(RowPackerTest, TheFullestRowWithRoomTakesTheNext) {
  // 7 places of row 0 and 4 of row 1 are taken; what needs 1 goes to row 0, what needs 3 to row 1.
  const std::vector<PackedRow> rows = pack(8, {chat(10, 8, 1), chat(20, 5, 1), chat(30, 2, 1), chat(40, 4, 1)});
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].ids[7], 30);
  EXPECT_EQ(rows[1].ids[4], 40);
}

TEST(RowPackerTest, LongOnesAreCutAndCountedUnlessNothingIsLeft) {
  int64_t rows = 0;
  RowPacker packer(4, [&](const PackedRow&) { ++rows; });
  EXPECT_TRUE(packer.add(chat(1, 9, 6)));  // learned: tokens 3 to 8, of which 3 and 4 are within the row
  EXPECT_EQ(packer.cut(), 1);
  EXPECT_EQ(packer.scored(), 2);
  EXPECT_FALSE(packer.add(chat(1, 9, 2)));
  EXPECT_FALSE(packer.add(chat(1, 3, 0)));
  EXPECT_FALSE(packer.add(chat(1, 1, 1)));
  EXPECT_FALSE(packer.add({}));
  EXPECT_EQ(packer.cut(), 1);
  packer.finish();
  EXPECT_EQ(rows, 1);
}

class PackedFileTest : public testing::Test {
 protected:
  static constexpr int64_t kContext = 6, kVocab = 500;

  TokenFile write(const std::vector<ScoredTokens>& chats) {
    TokenFileWriter writer(folder_.path() / "rows", packed_vocab(kVocab, kContext), -1);
    for (const PackedRow& row : pack(kContext, chats)) append_row(writer, row, 0);
    writer.commit();
    return TokenFile(folder_.path() / "rows");
  }

  test::TempFolder folder_;
};

TEST_F(PackedFileTest, RowsComeBackAsTheyWerePacked) {
  const std::vector<ScoredTokens> chats = {chat(10, 4, 2), chat(20, 3, 1), chat(30, 7, 3)};
  const TokenFile file = write(chats);
  const std::vector<PackedRow> rows = pack(kContext, chats);
  ASSERT_EQ(packed_rows(file, kContext), static_cast<int64_t>(rows.size()));
  Batch batch;
  ASSERT_TRUE(read_rows(file, kContext, 0, 8, batch));
  ASSERT_EQ(batch.sequences, static_cast<int64_t>(rows.size()));
  std::vector<int32_t> ids, targets, doc_start;
  for (const PackedRow& row : rows) {
    ids.insert(ids.end(), row.ids.begin(), row.ids.end());
    targets.insert(targets.end(), row.targets.begin(), row.targets.end());
    doc_start.insert(doc_start.end(), row.doc_start.begin(), row.doc_start.end());
  }
  EXPECT_EQ(batch.ids, ids);
  EXPECT_EQ(batch.targets, targets);
  EXPECT_EQ(batch.doc_start, doc_start);
  EXPECT_TRUE(batch.documents);
  EXPECT_FALSE(read_rows(file, kContext, batch.sequences, 1, batch));
}

TEST_F(PackedFileTest, AnEpochHandsOutEveryRowOnceAndPositionIsAllTheState) {
  std::vector<ScoredTokens> chats;
  for (int32_t i = 0; i < 20; ++i) chats.push_back(chat(10 * i + 1, 6, 2));
  const TokenFile file = write(chats);
  RowLoader loader(file, kContext, 3);
  std::vector<std::vector<int32_t>> epochs(2);
  Batch batch;
  for (std::vector<int32_t>& firsts : epochs)
    for (int i = 0; i < 10; ++i) {
      loader.next(2, batch);
      firsts.push_back(batch.ids[0]);
      firsts.push_back(batch.ids[kContext]);
    }
  EXPECT_EQ(std::set<int32_t>(epochs[0].begin(), epochs[0].end()).size(), 20U);
  EXPECT_EQ(std::set<int32_t>(epochs[1].begin(), epochs[1].end()).size(), 20U);
  EXPECT_NE(epochs[0], epochs[1]);
  RowLoader again(file, kContext, 3);
  again.seek(26);
  again.next(1, batch);
  EXPECT_EQ(batch.ids[0], epochs[1][6]);
}

TEST_F(PackedFileTest, AnotherContextIsRefused) {
  const TokenFile file = write({chat(10, 4, 2)});
  EXPECT_NE(test::bad_input_of([&] { RowLoader(file, kContext + 1, 0); }), "");
}

}  // namespace
}  // namespace mfa
