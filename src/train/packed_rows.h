// Training windows that hold several conversations each, and the files they are kept in.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "train/chat_tokens.h"
#include "train/loader.h"
#include "train/token_file.h"

namespace mfa {

// One window: for each of `context` places its token, the next token if that is to be learned (else −1), and where the
// conversation that it belongs to begins.
struct PackedRow {
  std::vector<int32_t> ids, targets, doc_start;
};

// Fills rows with whole conversations, each into the fullest of the open rows that has room, so that little is padding
// and the order depends on the conversations alone. Places left over hold token 0, are not scored, and are a document
// of their own.
class RowPacker {
 public:
  RowPacker(int64_t context, std::function<void(const PackedRow&)> emit) : context_(context), emit_(std::move(emit)) {}
  // A conversation of n tokens takes n − 1 places, since nothing is predicted from its last. What goes beyond the
  // context is cut off; false, and nothing taken, if then nothing to learn is left.
  bool add(const ScoredTokens& conversation);
  void finish();
  int64_t cut() const { return cut_; }        // conversations that were cut
  int64_t scored() const { return scored_; }  // tokens to learn
  int64_t used() const { return used_; }      // places that hold a conversation's token

 private:
  static constexpr size_t kOpenRows = 64;
  PackedRow& row_for(int64_t places);
  void emit(size_t index);

  int64_t context_, cut_ = 0, scored_ = 0, used_ = 0;
  std::function<void(const PackedRow&)> emit_;
  std::vector<PackedRow> open_;
};

// In a token file a row is 3 · context numbers: ids, targets + 1, doc_start.
int64_t packed_vocab(int64_t vocab, int64_t context);  // what the file's header says its numbers are below
void append_row(TokenFileWriter& file, const PackedRow& row, int64_t text_bytes);
int64_t packed_rows(const TokenFile& file, int64_t context);

// Rows in an order that is drawn anew for each epoch from (seed, epoch) alone. Position counts rows.
class RowLoader : public BatchSource {
 public:
  // BadInput if the file's size is no whole number of rows, or none.
  RowLoader(const TokenFile& file, int64_t context, uint64_t seed);
  void next(int64_t sequences, Batch& batch) override;
  int64_t position() const override { return position_; }
  void seek(int64_t position) override { position_ = position; }

 private:
  const TokenFile& file_;
  int64_t context_, rows_, position_ = 0, epoch_ = -1;
  uint64_t seed_;
  std::vector<int64_t> order_;
};

// As read_windows (train/loader.h), of rows.
bool read_rows(const TokenFile& file, int64_t context, int64_t first, int64_t sequences, Batch& batch);

}  // namespace mfa
