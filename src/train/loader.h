// Batches for training: shuffled windows of a token file.
#pragma once

#include <cstdint>
#include <vector>

#include "train/token_file.h"

namespace mfa {

// `sequences` windows of `context` tokens, row-major; targets are the next tokens.
struct Batch {
  int64_t sequences = 0, context = 0;
  std::vector<int32_t> ids, targets;
  std::vector<int32_t> doc_start;  // per token: first token of its window that belongs to its document
  bool documents = false;          // some window holds more than one document: attention needs doc_start
};

void resize(Batch& batch, int64_t sequences, int64_t context);  // one document a window, until that is said otherwise

// Batches without end. Position is all the state there is: next() after seek(p) gives what it gave before.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  virtual void next(int64_t sequences, Batch& batch) = 0;
  virtual int64_t position() const = 0;  // windows handed out since the start
  virtual void seek(int64_t position) = 0;
};

// The file is cut into windows of context tokens (plus the next one as target), at an offset and in an order that are
// drawn anew for each epoch from (seed, epoch) alone. The target across an end of document is scored (the model
// predicts the end), the first token of a document is not predicted from the one before (target −1).
class Loader : public BatchSource {
 public:
  // BadInput if the file holds fewer than context + 1 tokens.
  Loader(const TokenFile& tokens, int64_t context, uint64_t seed);
  void next(int64_t sequences, Batch& batch) override;
  int64_t position() const override { return position_; }
  void seek(int64_t position) override { position_ = position; }
  int64_t windows_per_epoch() const { return windows_; }

 private:
  void draw_epoch(int64_t epoch);
  const TokenFile& tokens_;
  int64_t context_, windows_, position_ = 0, epoch_ = -1, offset_ = 0;
  uint64_t seed_;
  std::vector<int64_t> order_;
};

// Windows for validation: from the start, one after the other, not shuffled. The last batch may have fewer sequences
// than asked. Returns false when fewer than one whole window is left at window index `first`.
bool read_windows(const TokenFile& tokens, int64_t context, int64_t first, int64_t sequences, Batch& batch);

}  // namespace mfa
