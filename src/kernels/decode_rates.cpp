#include "kernels/decode_rates.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <numeric>

#include "base/median.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/thread_team.h"
#include "kernels/machine.h"
#include "kernels/paged_schedule.h"

namespace mfa {
namespace {

// Mean seconds of call(0), call(1), …. The mean, since a step of decoding is the sum of hundreds of such calls, with
// whatever interrupts them on average. Calls of more than ten medians are left out: there the machine did something
// else.
double mean_seconds(double budget, const std::function<void(int64_t)>& call) {
  std::vector<double> seconds;
  call(0);
  const double until = now_seconds() + budget;
  for (int64_t i = 1; seconds.size() < 7 || (now_seconds() < until && seconds.size() < 20000); ++i) {
    const double began = now_seconds();
    call(i);
    seconds.push_back(now_seconds() - began);
  }
  const double most = 10 * median(seconds);
  double sum = 0, kept = 0;
  for (const double s : seconds) {
    if (s > most) continue;
    sum += s;
    kept += 1;
  }
  return sum / kept;
}

// A tensor of ordinary random numbers that owns its memory.
class Numbers {
 public:
  Numbers(Device& device, int64_t rows, int64_t cols)
      : memory_(device, static_cast<size_t>(rows * cols) * size_of(device.real())),
        tensor_{memory_.data(), device.real(), rows, cols, cols} {
    Random random(static_cast<uint64_t>(rows * cols));
    std::vector<float> values(static_cast<size_t>(rows * cols));
    for (float& x : values) x = static_cast<float>(2 * random.uniform() - 1);
    if (device.real() == DType::f32)
      device.upload(tensor_, values.data());
    else
      device.upload(tensor_, std::vector<double>(values.begin(), values.end()).data());
  }
  operator Tensor() const { return tensor_; }

 private:
  DeviceMemory memory_;
  Tensor tensor_;
};

// Bytes to rotate over, so that none is in a cache when its turn comes again.
int64_t cold_bytes() { return 4 * last_level_cache(); }

// --- products -----------------------------------------------------------------------------------------------------

// Copies of an n × n weight, and the time of a product with each in turn.
class ColdProduct {
 public:
  ColdProduct(Device& device, DType type, int64_t n) : device_(device), n_(n) {
    const Numbers w(device, n, n);
    const int64_t bytes = n * n * static_cast<int64_t>(size_of(type));
    for (int64_t i = 0; i < cold_bytes() / bytes + 2; ++i) copies_.push_back(device.pack_weight(w, type));
  }
  double seconds(int64_t rows, double budget) {
    const Numbers x(device_, rows, n_), y(device_, rows, n_);
    const auto copies = static_cast<int64_t>(copies_.size());
    return mean_seconds(budget, [&](int64_t i) { device_.linear(x, *copies_[static_cast<size_t>(i % copies)], y); });
  }

 private:
  Device& device_;
  int64_t n_;
  std::vector<std::unique_ptr<PackedWeight>> copies_;
};

ProductRates measure_products(Device& device, DType type, double seconds) {
  ProductRates rates;
  rates.weights = type;
  // From a head's slice of MLA's expansion to a large model's FFN.
  constexpr int64_t kSizes[] = {64, 128, 256, 512, 1024, 2048, 4096}, kRows[] = {1, 2, 4, 8, 16, 32};
  const double each = seconds / (std::size(kSizes) + std::size(kRows));
  for (const int64_t n : kSizes) {
    ColdProduct product(device, type, n);
    rates.by_numbers.sizes.push_back(static_cast<double>(n * n));
    rates.by_numbers.seconds.push_back(product.seconds(1, each));
    if (n != kSizes[std::size(kSizes) - 1]) continue;
    for (const int64_t rows : kRows) {
      rates.by_rows.sizes.push_back(static_cast<double>(rows));
      rates.by_rows.seconds.push_back(product.seconds(rows, each));
    }
  }
  return rates;
}

// --- attention ----------------------------------------------------------------------------------------------------

// One large pool of which each call reads another part.
class ColdCache {
 public:
  ColdCache(Device& device, DType kv, CacheKind kind, int64_t dim) : device_(device), kind_(kind), dim_(dim) {
    KvPoolSpec spec{.kv_heads = 1,
                    .key_dim = dim,
                    .value_dim = dim,
                    .value_in_key = kind != CacheKind::apart,
                    .page_tokens = kCachePageTokens,
                    .type = kv};
    spec.pages =
        std::max(cold_bytes() / (spec.bytes_per_token() * kCachePageTokens), 2 * tokens_together() / kCachePageTokens);
    pool_ = device.make_kv_pool(spec);
    pages_.resize(static_cast<size_t>(spec.pages));
    std::iota(pages_.begin(), pages_.end(), 0);
    const Numbers k(device, kFill, dim), v(device, kFill, dim);
    std::vector<int64_t> slots(kFill);
    for (int64_t begin = 0; begin < spec.pages * kCachePageTokens; begin += kFill) {
      const int64_t n = std::min(kFill, spec.pages * kCachePageTokens - begin);
      std::iota(slots.begin(), slots.end(), begin);
      device.kv_append(*pool_, Tensor(k).slice_rows(0, n), spec.value_in_key ? Tensor{} : Tensor(v).slice_rows(0, n),
                       std::span(slots).first(static_cast<size_t>(n)));
    }
    if (kind == CacheKind::rotated) make_rotation();
  }

  // Seconds of a call in which each row meets `tokens` tokens.
  double seconds(int64_t rows, int64_t tokens, double budget) {
    const Numbers q(device_, 1, rows * dim_), out(device_, 1, rows * dim_);
    const int64_t pages = tokens / kCachePageTokens, parts = static_cast<int64_t>(pages_.size()) / pages;
    return mean_seconds(budget, [&](int64_t i) {
      const PagedSequence sequence{std::span(pages_).subspan(static_cast<size_t>(i % parts * pages)), 0, 1, tokens - 1};
      PagedAttentionArgs args;
      args.pool = pool_.get();
      args.q = q;
      args.out = out;
      args.n_heads = rows;
      args.scale = 1 / std::sqrt(static_cast<double>(dim_));
      if (kind_ == CacheKind::rotated) {
        args.key_cos = *cos_;
        args.key_sin = *sin_;
      }
      args.sequences = {&sequence, 1};
      device_.attention_paged(args);
    });
  }

  static int64_t tokens_alone() { return paged_split_tokens(kCachePageTokens); }
  // Four tasks a thread: no thread waits for long.
  static int64_t tokens_together() { return 4 * num_threads() * paged_split_tokens(kCachePageTokens); }

 private:
  static constexpr int64_t kFill = 1024;

  void make_rotation() {
    const int64_t half = dim_ / 2, positions = tokens_together();
    std::vector<float> cos(static_cast<size_t>(positions * half)), sin(cos.size());
    for (int64_t p = 0; p < positions; ++p) {
      for (int64_t i = 0; i < half; ++i) {
        const double angle =
            static_cast<double>(p) * std::pow(10000, -static_cast<double>(i) / static_cast<double>(half));
        cos[static_cast<size_t>(p * half + i)] = static_cast<float>(std::cos(angle));
        sin[static_cast<size_t>(p * half + i)] = static_cast<float>(std::sin(angle));
      }
    }
    cos_ = std::make_unique<Numbers>(device_, positions, half);
    sin_ = std::make_unique<Numbers>(device_, positions, half);
    device_.upload(*cos_, cos.data());
    device_.upload(*sin_, sin.data());
  }

  Device& device_;
  CacheKind kind_;
  int64_t dim_;
  std::unique_ptr<KvPool> pool_;
  std::vector<int32_t> pages_;
  std::unique_ptr<Numbers> cos_, sin_;
};

AttentionRates measure_attention(Device& device, DType kv, CacheKind kind, int64_t dim, double seconds) {
  AttentionRates rates{.kv = kv, .kind = kind, .dim = dim};
  ColdCache cache(device, kv, kind, dim);
  constexpr int64_t kRows[] = {1, 2, 4, 8, 16, 32};
  const double each = seconds / (2 * std::size(kRows));
  const auto threads = static_cast<double>(num_threads());
  const auto add = [&](RateCurve& curve, int64_t rows, int64_t tokens, double busy) {
    curve.sizes.push_back(static_cast<double>(rows));
    curve.seconds.push_back(cache.seconds(rows, tokens, each) * busy / static_cast<double>(tokens));
  };
  for (const int64_t rows : kRows) {
    add(rates.alone, rows, ColdCache::tokens_alone(), 1);
    add(rates.together, rows, ColdCache::tokens_together(), threads);
  }
  return rates;
}

// --- what stands between ------------------------------------------------------------------------------------------

// These operands are small and in the caches when a model runs, as here.
VectorRates measure_vectors(Device& device, double seconds) {
  VectorRates rates;
  constexpr int64_t kSizes[] = {64, 1024, 4096};
  const double each = seconds / (5 * std::size(kSizes));
  const Numbers angle(device, 1, 32), weight(device, 1, kSizes[2]);
  const DeviceMemory position(device, sizeof(int32_t));
  for (const int64_t n : kSizes) {
    const Numbers x(device, 1, n), y(device, 1, n), z(device, 1, n), statistics(device, 1, 2);
    const auto pool = device.make_kv_pool({.kv_heads = 1,
                                           .key_dim = n,
                                           .value_dim = n,
                                           .page_tokens = kCachePageTokens,
                                           .pages = 1,
                                           .type = DType::bf16});
    const auto add = [&](RateCurve& curve, const std::function<void(int64_t)>& call) {
      curve.sizes.push_back(static_cast<double>(n));
      curve.seconds.push_back(mean_seconds(each, call));
    };
    add(rates.norm, [&](int64_t) {
      device.norm_forward({.x = x,
                           .weight = Tensor(weight).slice_cols(0, n),
                           .y = y,
                           .statistics = Tensor(statistics).slice_cols(0, 1)});
    });
    add(rates.add, [&](int64_t) { device.add(y, z); });
    add(rates.rope, [&](int64_t) {
      device.rope({.x = x,
                   .positions = {position.data(), DType::i32, 1, 1, 1},
                   .cos = angle,
                   .sin = angle,
                   .n_heads = n / 64,
                   .head_dim = 64});
    });
    add(rates.swiglu, [&](int64_t) { device.swiglu_forward(x, z, y); });
    add(rates.append, [&](int64_t i) {
      const int64_t slot = i % kCachePageTokens;
      device.kv_append(*pool, x, z, {&slot, 1});
    });
  }
  return rates;
}

}  // namespace

double RateCurve::at(double size) const {
  if (sizes.empty()) return 0;
  if (size <= sizes.front() || sizes.size() == 1) return seconds.front();
  size_t i = 1;
  while (i + 1 < sizes.size() && sizes[i] < size) ++i;
  const double slope = (seconds[i] - seconds[i - 1]) / (sizes[i] - sizes[i - 1]);
  return seconds[i] + slope * (size - sizes[i]);
}

DecodeRates measure_decode_rates(Device& device, double seconds) {
  constexpr DType kWeights[] = {DType::f32, DType::bf16}, kCaches[] = {DType::f32, DType::bf16, DType::i8};
  constexpr CacheKind kKinds[] = {CacheKind::apart, CacheKind::rotated, CacheKind::shared};
  constexpr int64_t kDims[] = {64, 256};
  DecodeRates rates;
  rates.threads = num_threads();
  Progress progress("decode rates", 2 + 18 + 1);
  int64_t done = 0;
  for (const DType type : kWeights) {
    rates.products.push_back(measure_products(device, type, seconds / 8));
    progress.update(++done);
  }
  for (const DType kv : kCaches)
    for (const CacheKind kind : kKinds)
      for (const int64_t dim : kDims) {
        rates.attention.push_back(measure_attention(device, kv, kind, dim, seconds * 0.7 / 18));
        progress.update(++done);
      }
  rates.vectors = measure_vectors(device, seconds / 20);
  progress.update(++done);
  return rates;
}

}  // namespace mfa
