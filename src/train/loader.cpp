#include "train/loader.h"

#include <algorithm>
#include <cassert>
#include <numeric>

#include "base/error.h"
#include "base/random.h"

namespace mfa {
namespace {

// Apart from the streams that others draw from the same seed (weights, for one).
constexpr uint64_t first_stream = 0x6c6f61646572;  // "loader"

void require_one_window(const TokenFile& tokens, int64_t context) {
  assert(context >= 1);
  if (tokens.size() < context + 1)
    bad_input(
        "[loader] the text is too short for the context, got {} tokens, expected at least {} (context {} and one "
        "more to predict)",
        tokens.size(), context + 1, context);
}

// Fills sequence `s` of the batch with the window whose first token is `begin`.
void fill_window(const TokenFile& tokens, int64_t begin, int64_t s, Batch& batch) {
  const int64_t context = batch.context;
  const auto row = static_cast<size_t>(s * context);
  const std::span<int32_t> ids(batch.ids.data() + row, static_cast<size_t>(context));
  const std::span<int32_t> targets(batch.targets.data() + row, static_cast<size_t>(context));
  tokens.read(begin, ids);
  tokens.read(begin + 1, targets);
  const int32_t end = tokens.end_of_document();  // −1 equals no token
  int32_t doc_start = 0;
  for (int64_t t = 0; t < context; ++t) {
    const auto i = static_cast<size_t>(t);
    batch.doc_start[row + i] = doc_start;
    if (ids[i] != end) continue;
    targets[i] = -1;
    doc_start = static_cast<int32_t>(t + 1);
    batch.documents = batch.documents || t + 1 < context;
  }
}

}  // namespace

void resize(Batch& batch, int64_t sequences, int64_t context) {
  batch.sequences = sequences, batch.context = context, batch.documents = false;
  const auto rows = static_cast<size_t>(sequences * context);
  batch.ids.resize(rows), batch.targets.resize(rows), batch.doc_start.resize(rows);
}

// An epoch has as many windows at any offset in [0, context) where the file is long enough for that, and in any case
// one; so the number is the same for all epochs and position ↔ (epoch, window) is plain division.
Loader::Loader(const TokenFile& tokens, int64_t context, uint64_t seed)
    : tokens_(tokens), context_(context), windows_(0), seed_(seed) {
  require_one_window(tokens, context);
  windows_ = std::max<int64_t>(1, (tokens.size() - context) / context);
}

void Loader::draw_epoch(int64_t epoch) {
  Random random(seed_, first_stream + static_cast<uint64_t>(epoch));
  const int64_t room = tokens_.size() - 1 - windows_ * context_;
  offset_ = static_cast<int64_t>(random.below(static_cast<uint64_t>(std::min(context_, room + 1))));
  order_.resize(static_cast<size_t>(windows_));
  std::iota(order_.begin(), order_.end(), int64_t{0});
  for (size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random.below(i)]);  // Fisher–Yates
  epoch_ = epoch;
}

void Loader::next(int64_t sequences, Batch& batch) {
  resize(batch, sequences, context_);
  for (int64_t s = 0; s < sequences; ++s, ++position_) {
    if (const int64_t epoch = position_ / windows_; epoch != epoch_) draw_epoch(epoch);
    const int64_t window = order_[static_cast<size_t>(position_ % windows_)];
    fill_window(tokens_, offset_ + window * context_, s, batch);
  }
}

bool read_windows(const TokenFile& tokens, int64_t context, int64_t first, int64_t sequences, Batch& batch) {
  assert(context >= 1 && first >= 0 && sequences >= 1);
  const int64_t left = std::max<int64_t>(0, tokens.size() - 1) / context - first;
  if (left <= 0) return false;
  resize(batch, std::min(left, sequences), context);
  for (int64_t s = 0; s < batch.sequences; ++s) fill_window(tokens, (first + s) * context, s, batch);
  return true;
}

}  // namespace mfa
