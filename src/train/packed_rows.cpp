#include "train/packed_rows.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/random.h"

namespace mfa {
namespace {

// Apart from the streams that others draw from the same seed (train/loader.cpp).
constexpr uint64_t kFirstStream = 0x726f7773;  // "rows"

// Fills sequence `s` of the batch with row `index`.
void fill_row(const TokenFile& file, int64_t index, int64_t s, Batch& batch) {
  const int64_t context = batch.context;
  const auto at = static_cast<size_t>(s * context), n = static_cast<size_t>(context);
  const int64_t begin = index * 3 * context;
  file.read(begin, std::span(batch.ids).subspan(at, n));
  file.read(begin + context, std::span(batch.targets).subspan(at, n));
  file.read(begin + 2 * context, std::span(batch.doc_start).subspan(at, n));
  for (size_t t = at; t < at + n; ++t) {
    --batch.targets[t];
    if (batch.doc_start[t] > static_cast<int32_t>(t - at))
      bad_input("[rows] a document begins behind its own token {}: the token cache is damaged", t - at);
    batch.documents = batch.documents || batch.doc_start[t] > 0;
  }
}

}  // namespace

bool RowPacker::add(const ScoredTokens& conversation) {
  const auto tokens = static_cast<int64_t>(conversation.ids.size());
  const int64_t places = std::min(context_, tokens - 1);
  const auto begin = conversation.scored.begin();
  const int64_t learned = places < 1 ? 0 : std::count(begin + 1, begin + 1 + places, true);
  if (learned == 0) return false;
  if (places < tokens - 1) ++cut_;
  scored_ += learned, used_ += places;
  PackedRow& row = row_for(places);
  const auto start = static_cast<int32_t>(row.ids.size());
  for (size_t t = 0; t < static_cast<size_t>(places); ++t) {
    row.ids.push_back(conversation.ids[t]);
    row.targets.push_back(conversation.scored[t + 1] ? conversation.ids[t + 1] : -1);
    row.doc_start.push_back(start);
  }
  return true;
}

PackedRow& RowPacker::row_for(int64_t places) {
  const auto room = [&](const PackedRow& row) { return context_ - static_cast<int64_t>(row.ids.size()); };
  PackedRow* best = nullptr;
  for (PackedRow& row : open_)
    if (room(row) >= places && (best == nullptr || room(row) < room(*best))) best = &row;
  if (best != nullptr) return *best;
  if (open_.size() == kOpenRows) {
    const auto fullest =
        std::min_element(open_.begin(), open_.end(), [&](const auto& a, const auto& b) { return room(a) < room(b); });
    emit(static_cast<size_t>(fullest - open_.begin()));
  }
  return open_.emplace_back();
}

void RowPacker::emit(size_t index) {
  PackedRow& row = open_[index];
  const auto size = static_cast<size_t>(context_);
  row.doc_start.resize(size, static_cast<int32_t>(row.ids.size()));
  row.ids.resize(size, 0);
  row.targets.resize(size, -1);
  emit_(row);
  open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(index));
}

void RowPacker::finish() {
  while (!open_.empty()) emit(0);
}

int64_t packed_vocab(int64_t vocab, int64_t context) { return std::max(vocab, context) + 1; }

void append_row(TokenFileWriter& file, const PackedRow& row, int64_t text_bytes) {
  std::vector<int32_t> shifted = row.targets;
  for (int32_t& target : shifted) ++target;
  file.append(row.ids, text_bytes);
  file.append(shifted, 0);
  file.append(row.doc_start, 0);
}

int64_t packed_rows(const TokenFile& file, int64_t context) { return file.size() / (3 * context); }

RowLoader::RowLoader(const TokenFile& file, int64_t context, uint64_t seed)
    : file_(file), context_(context), rows_(packed_rows(file, context)), seed_(seed) {
  if (rows_ == 0 || rows_ * 3 * context != file.size())
    bad_input("[rows] got {} numbers, expected rows of three times {}", file.size(), context);
}

void RowLoader::next(int64_t sequences, Batch& batch) {
  resize(batch, sequences, context_);
  for (int64_t s = 0; s < sequences; ++s, ++position_) {
    if (const int64_t epoch = position_ / rows_; epoch != epoch_) {
      Random random(seed_, kFirstStream + static_cast<uint64_t>(epoch));
      order_.resize(static_cast<size_t>(rows_));
      std::iota(order_.begin(), order_.end(), int64_t{0});
      for (size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random.below(i)]);  // Fisher–Yates
      epoch_ = epoch;
    }
    fill_row(file_, order_[static_cast<size_t>(position_ % rows_)], s, batch);
  }
}

bool read_rows(const TokenFile& file, int64_t context, int64_t first, int64_t sequences, Batch& batch) {
  const int64_t left = packed_rows(file, context) - first;
  if (left <= 0) return false;
  resize(batch, std::min(left, sequences), context);
  for (int64_t s = 0; s < batch.sequences; ++s) fill_row(file, first + s, s, batch);
  return true;
}

}  // namespace mfa
