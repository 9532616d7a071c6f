// A case of the paged attention table set up on a device: all tokens of its sequences, to be fed in any pieces.
#pragma once

#include <cmath>
#include <memory>
#include <numeric>
#include <vector>

#include "kernels/operands.h"
#include "kernels/shape_table.h"

namespace mfa {

class PagedSession {
 public:
  // `count` tokens of a sequence, from its token `first` on.
  struct Piece {
    int64_t sequence, first, count;
  };

  PagedSession(Device& device, const shapes::PagedCase& c) : device_(device), case_(c), operands_(device, 4, c.frame) {
    lay_out_pages();
    const KvPoolSpec& spec = case_.pool;
    q_ = operands_.normal(rows_, c.n_heads * spec.key_dim, c.spread);
    k_ = operands_.normal(rows_, spec.kv_heads * spec.key_dim);
    if (!spec.value_in_key) v_ = operands_.normal(rows_, spec.kv_heads * spec.value_dim);
    out_ = operands_.unwritten(rows_, c.n_heads * spec.value_dim);
    args_.pool = pool_.get();
    args_.n_heads = c.n_heads;
    args_.window = c.window;
    args_.scale = 1 / std::sqrt(static_cast<double>(spec.key_dim));
    add_positions();
  }

  void append(const std::vector<Piece>& pieces) {
    for (const Piece& piece : pieces) {
      std::vector<int64_t> slots;
      for (int64_t t = piece.first; t < piece.first + piece.count; ++t)
        slots.push_back(pages_[piece.sequence][t / case_.pool.page_tokens] * case_.pool.page_tokens +
                        t % case_.pool.page_tokens);
      const int64_t row = first_row_[piece.sequence] + piece.first;
      device_.kv_append(*pool_, k_.slice_rows(row, piece.count), v_ ? v_.slice_rows(row, piece.count) : Tensor{},
                        slots);
    }
  }

  // One call for all pieces, whose tokens must have been appended.
  void attend(const std::vector<Piece>& pieces) {
    std::vector<PagedSequence> sequences;
    for (const Piece& piece : pieces)
      sequences.push_back({pages_[piece.sequence], first_row_[piece.sequence] + piece.first, piece.count, piece.first});
    PagedAttentionArgs args = args_;
    args.q = q_;
    args.out = out_;
    args.sequences = sequences;
    device_.attention_paged(args);
  }

  // The tokens cached before the case's call, and those of the call.
  std::vector<Piece> contexts() const {
    std::vector<Piece> pieces;
    for (int64_t s = 0; s < n_sequences(); ++s)
      if (case_.sequences[s].context > 0) pieces.push_back({s, 0, case_.sequences[s].context});
    return pieces;
  }
  std::vector<Piece> calls() const {
    std::vector<Piece> pieces;
    for (int64_t s = 0; s < n_sequences(); ++s)
      pieces.push_back({s, case_.sequences[s].context, case_.sequences[s].rows});
    return pieces;
  }

  // The result of a piece [count · n_heads · value_dim].
  std::vector<double> result(const Piece& piece) {
    return read(device_, out_.slice_rows(first_row_[piece.sequence] + piece.first, piece.count));
  }
  int64_t n_sequences() const { return static_cast<int64_t>(case_.sequences.size()); }
  int64_t tokens(int64_t sequence) const { return case_.sequences[sequence].context + case_.sequences[sequence].rows; }
  Operands& operands() { return operands_; }
  const KvPool& pool() const { return *pool_; }

 private:
  // Pages come in random order from a pool that has a few to spare.
  void lay_out_pages() {
    for (int64_t s = 0; s < n_sequences(); ++s) {
      first_row_.push_back(rows_);
      rows_ += tokens(s);
      case_.pool.pages += (tokens(s) + case_.pool.page_tokens - 1) / case_.pool.page_tokens;
    }
    case_.pool.pages += 3;
    pool_ = device_.make_kv_pool(case_.pool);
    std::vector<int32_t> order(case_.pool.pages);
    std::iota(order.begin(), order.end(), 0);
    for (size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[operands_.random().below(i + 1)]);
    auto next = order.begin();
    for (int64_t s = 0; s < n_sequences(); ++s) {
      const int64_t count = (tokens(s) + case_.pool.page_tokens - 1) / case_.pool.page_tokens;
      pages_.emplace_back(next, next + count);
      next += count;
    }
  }

  void add_positions() {
    if (case_.alibi) {
      std::vector<double> slopes;
      for (int64_t h = 0; h < case_.n_heads; ++h) slopes.push_back(std::exp2(-static_cast<double>(h % 8 + 1)));
      args_.alibi_slopes = operands_.holding(1, case_.n_heads, slopes);
    }
    if (case_.rotated == 0) return;
    std::vector<double> cos, sin;
    int64_t longest = 0;
    for (int64_t s = 0; s < n_sequences(); ++s) longest = std::max(longest, tokens(s));
    std::vector<double> frequencies;
    for (int64_t i = 0; i < case_.rotated; ++i) frequencies.push_back(operands_.random().uniform() * 6.28);
    for (int64_t i = 0; i < longest * case_.rotated; ++i) {
      const double angle = frequencies[i % case_.rotated] * static_cast<double>(i / case_.rotated);
      cos.push_back(static_cast<float>(1.25 * std::cos(angle)));  // 1.25: a length, as YaRN has
      sin.push_back(static_cast<float>(1.25 * std::sin(angle)));
    }
    args_.key_cos = operands_.holding(longest, case_.rotated, cos);
    args_.key_sin = operands_.holding(longest, case_.rotated, sin);
  }

  Device& device_;
  shapes::PagedCase case_;
  Operands operands_;
  std::unique_ptr<KvPool> pool_;
  std::vector<std::vector<int32_t>> pages_;
  std::vector<int64_t> first_row_;
  int64_t rows_ = 0;
  Tensor q_, k_, v_, out_;
  PagedAttentionArgs args_;
};

}  // namespace mfa
