// The paged cache as plain rows, one a token, and attention over it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "kernels/attention_args.h"
#include "kernels/hadamard.h"
#include "kernels/reference/attention.h"
#include "kernels/reference/numbers.h"
#include "kernels/reference/rotary.h"

namespace mfa::reference {

// [page · page_tokens + offset][numbers]: the keys of all KV heads, then the values of all KV heads. i8: the scales
// lie apart, one for each kScaleGroup numbers of a vector, in the same order.
class PlainKvPool : public KvPool {
 public:
  explicit PlainKvPool(const KvPoolSpec& spec) : KvPool(spec), bytes_(checked_bytes(spec)) {
    const int64_t tokens = spec.pages * spec.page_tokens;
    data_.resize(static_cast<size_t>(tokens * spec.numbers_per_token()) * size_of(spec.type));
    scales_.resize(static_cast<size_t>(tokens * spec.scales_per_token()));
  }
  size_t bytes() const override { return bytes_; }

  // Writes one vector of a token, from its number `first` on; `first` and `dim` as key_at and value_at give them.
  template <class Real>
  void write(int64_t slot, int64_t first, const Real* numbers, int64_t dim) {
    const int64_t at = slot * spec().numbers_per_token() + first;
    if (spec().type != DType::i8) {
      for (int64_t i = 0; i < dim; ++i) store(data_.data(), spec().type, at + i, numbers[i]);
      return;
    }
    for (int64_t begin = 0; begin < dim; begin += KvPoolSpec::kScaleGroup) {
      const int64_t end = std::min(dim, begin + KvPoolSpec::kScaleGroup);
      double largest = 0;
      // In f32, as any device does it: a tie that falls the other way is a step of difference.
      float rotated[KvPoolSpec::kScaleGroup];
      for (int64_t i = begin; i < end; ++i) rotated[i - begin] = static_cast<float>(numbers[i]);
      if (stores_rotated(spec())) rotate_groups(rotated, end - begin);
      for (int64_t i = begin; i < end; ++i) largest = std::max(largest, std::abs(double{rotated[i - begin]}));
      bf16& scale = scales_[scale_at(slot, first, begin)];
      scale = to_bf16(static_cast<float>(largest) / 127);
      for (int64_t i = begin; i < end; ++i) {
        const float q = largest > 1e-30 ? std::nearbyint(rotated[i - begin] / to_float(scale)) : 0;
        reinterpret_cast<int8_t*>(data_.data())[at + i] = static_cast<int8_t>(std::clamp(q, -127.0f, 127.0f));
      }
    }
  }
  void read(int64_t slot, int64_t first, std::vector<double>& numbers) const {
    const int64_t at = slot * spec().numbers_per_token() + first;
    for (size_t i = 0; i < numbers.size(); ++i) {
      const auto c = static_cast<int64_t>(i);
      numbers[i] = spec().type != DType::i8 ? load(data_.data(), spec().type, at + c)
                                            : reinterpret_cast<const int8_t*>(data_.data())[at + c] *
                                                  static_cast<double>(to_float(scales_[scale_at(slot, first, c)]));
    }
    if (stores_rotated(spec())) rotate_groups_back(numbers.data(), static_cast<int64_t>(numbers.size()));
  }

  int64_t key_at(int64_t kv_head) const { return kv_head * spec().key_dim; }
  int64_t value_at(int64_t kv_head) const {
    return spec().value_in_key ? key_at(kv_head) : spec().kv_heads * spec().key_dim + kv_head * spec().value_dim;
  }

 private:
  static size_t checked_bytes(const KvPoolSpec& spec) {
    size_t bytes = 0;
    if (spec.pages < 0 || spec.page_tokens < 1 || __builtin_mul_overflow(spec.pages, spec.page_tokens, &bytes) ||
        __builtin_mul_overflow(bytes, spec.bytes_per_token(), &bytes))
      fail("[kv pool] size, got {} pages of {} tokens, expected fewer than 2^64 bytes", spec.pages, spec.page_tokens);
    return bytes;
  }
  // Of number `c` of the vector that begins at the token's number `first`.
  size_t scale_at(int64_t slot, int64_t first, int64_t c) const {
    constexpr int64_t kGroup = KvPoolSpec::kScaleGroup;
    const int64_t keys = spec().kv_heads * spec().key_dim, groups = (spec().key_dim + kGroup - 1) / kGroup;
    const int64_t vector = first < keys ? first / spec().key_dim * groups
                                        : spec().kv_heads * groups + (first - keys) / spec().value_dim *
                                                                         ((spec().value_dim + kGroup - 1) / kGroup);
    return static_cast<size_t>(slot * spec().scales_per_token() + vector + c / kGroup);
  }

  size_t bytes_;
  std::vector<std::byte> data_;
  std::vector<bf16> scales_;
};

template <class Real>
void kv_append(PlainKvPool& pool, Tensor k, Tensor v, std::span<const int64_t> slots) {
  for (size_t r = 0; r < slots.size(); ++r) {
    const auto row = static_cast<int64_t>(r);
    for (int64_t h = 0; h < pool.spec().kv_heads; ++h) {
      pool.write(slots[r], pool.key_at(h), k.row<Real>(row) + h * pool.spec().key_dim, pool.spec().key_dim);
      if (!pool.spec().value_in_key)
        pool.write(slots[r], pool.value_at(h), v.row<Real>(row) + h * pool.spec().value_dim, pool.spec().value_dim);
    }
  }
}

// Query row r of a sequence, head h: softmax over the cached tokens that it sees.
template <class Real>
void attend_paged(const PagedAttentionArgs& args, const PagedSequence& sequence, int64_t r, int64_t h) {
  const auto& pool = static_cast<const PlainKvPool&>(*args.pool);
  const KvPoolSpec& spec = pool.spec();
  const int64_t kv_head = h / (args.n_heads / spec.kv_heads), position = sequence.first_position + r;
  const int64_t lo = args.window > 0 ? std::max<int64_t>(0, position - args.window + 1) : 0;
  const double slope = args.alibi_slopes ? args.alibi_slopes.ptr<Real>()[h] : 0;
  const Real* q = args.q.row<Real>(sequence.first_row + r) + h * spec.key_dim;
  const auto slot = [&](int64_t j) {
    return sequence.pages[j / spec.page_tokens] * spec.page_tokens + j % spec.page_tokens;
  };
  std::vector<double> p, key(spec.key_dim), value(spec.value_dim), out(spec.value_dim);
  for (int64_t j = lo; j <= position; ++j) {
    pool.read(slot(j), pool.key_at(kv_head), key);
    if (args.key_cos)
      rotate(key.data(), args.key_cos.row<Real>(j), args.key_sin.row<Real>(j), args.key_cos.cols, false);
    p.push_back(args.scale * dot(q, key.data(), spec.key_dim) - slope * static_cast<double>(position - j));
  }
  softmax(p);
  for (int64_t j = lo; j <= position; ++j) {
    pool.read(slot(j), pool.value_at(kv_head), value);
    for (int64_t c = 0; c < spec.value_dim; ++c) out[c] += p[j - lo] * value[c];
  }
  std::copy(out.begin(), out.end(), args.out.row<Real>(sequence.first_row + r) + h * spec.value_dim);
}

template <class Real>
void attention_paged(const PagedAttentionArgs& args) {
  for (const PagedSequence& sequence : args.sequences)
    parallel_for(sequence.n_rows * args.n_heads, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task)
        attend_paged<Real>(args, sequence, task / args.n_heads, task % args.n_heads);
    });
}

}  // namespace mfa::reference
