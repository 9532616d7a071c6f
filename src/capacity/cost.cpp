#include "capacity/cost.h"

#include <algorithm>
#include <cmath>

#include "kernels/paged_schedule.h"

namespace mfa {
namespace {

constexpr double kMillion = 1e6;

int64_t bits_of(DType type) { return static_cast<int64_t>(size_of(type)) * 8; }

// Weights that a step over `batch` sequences reads.
double weights_read(const CapacityRow& row, DType weights, int64_t batch) {
  double numbers = static_cast<double>(row.matrix_numbers);
  for (const CapacityRow::Experts& kind : row.experts) {
    const auto all = static_cast<double>(kind.experts), chosen = static_cast<double>(kind.top_k);
    const double met = all * (1 - std::pow(1 - chosen / all, static_cast<double>(batch)));
    numbers += static_cast<double>(kind.layers) * met * static_cast<double>(kind.numbers);
  }
  return numbers * static_cast<double>(size_of(weights)) + 4 * static_cast<double>(row.vector_numbers);
}

}  // namespace

DecodePrice decode_price(const DecodeWork& work, const Hardware& hardware, int64_t bits) {
  const double flop = kMillion * hardware.usd_per_flop(bits), byte = kMillion * hardware.usd_per_byte();
  return {std::max(work.core_flops * flop, work.kv_bytes * byte) + work.linear_flops * flop, work.ffn_flops * flop};
}

double smallest_sparsity(const Hardware& hardware, int64_t width, int64_t layers) {
  constexpr double kStage = 0.05 / 3;  // seconds
  const double batch = hardware.flops(8) / (2 * hardware.bytes_per_s);
  return 3 * static_cast<double>(width) * batch * static_cast<double>(layers) / (hardware.network_bytes_per_s * kStage);
}

DecodeStep decode_step(double weights_read, double kv_bytes, double flops, const Hardware& hardware, DType weights,
                       int64_t batch) {
  const auto b = static_cast<double>(batch);
  DecodeStep step;
  step.bytes = weights_read + b * kv_bytes;
  step.flops = b * flops;
  const double memory = step.bytes / hardware.bytes_per_s, arithmetic = step.flops / hardware.flops(bits_of(weights));
  step.memory_bound = memory >= arithmetic;
  step.seconds = std::max(memory, arithmetic);
  step.tokens_per_s = b / step.seconds;
  step.usd_per_million_tokens = kMillion * hardware.usd_per_hour / 3600 / step.tokens_per_s;
  return step;
}

DecodeStep decode_step(const CapacityRow& row, const Hardware& hardware, DType weights, int64_t batch) {
  return decode_step(weights_read(row, weights, batch), row.work.kv_bytes, row.flops_per_token_decode, hardware,
                     weights, batch);
}

double weight_bytes(const CapacityRow& row, DType weights) {
  return static_cast<double>(row.parameters) * static_cast<double>(size_of(weights));
}

int64_t sequences_that_fit(const CapacityRow& row, DType weights, double memory_bytes) {
  const double left = memory_bytes - weight_bytes(row, weights);
  if (left < 0) return 0;
  // What grows with T comes in whole pages.
  const int64_t pages = (row.context + kCachePageTokens - 1) / kCachePageTokens;
  const auto grows = static_cast<double>(row.kv_bytes_context - row.state_bytes);
  const double sequence = static_cast<double>(row.state_bytes) +
                          grows / static_cast<double>(row.context) * static_cast<double>(pages * kCachePageTokens);
  return sequence > 0 ? static_cast<int64_t>(std::floor(left / sequence)) : -1;
}

}  // namespace mfa
