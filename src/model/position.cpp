#include "model/position.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

namespace mfa {
namespace {

constexpr double kTwoPi = 2 * std::numbers::pi;

double yarn_mscale(double factor, double mscale) { return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0; }

// The pair whose frequency turns `rotations` times over the original context.
double yarn_pair(double rotations, double dim, const RopeSpec& rope) {
  return dim * std::log(static_cast<double>(rope.original_context) / (rotations * kTwoPi)) / (2 * std::log(rope.theta));
}

// High frequencies are kept, low ones interpolated, with a ramp between beta_fast and beta_slow turns.
void scale_yarn(const RopeSpec& rope, int64_t rotary_dim, RopeFrequencies& result) {
  const auto dim = static_cast<double>(rotary_dim);
  const double low = std::max(std::floor(yarn_pair(rope.beta_fast, dim, rope)), 0.0);
  double high = std::min(std::ceil(yarn_pair(rope.beta_slow, dim, rope)), dim - 1);
  if (high == low) high += 0.001;
  for (size_t i = 0; i < result.frequencies.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    result.frequencies[i] *= ramp / rope.factor + (1 - ramp);
  }
  if (rope.attention_factor > 0)
    result.attention_factor = rope.attention_factor;
  else if (rope.mscale > 0 && rope.mscale_all_dim > 0)
    result.attention_factor = yarn_mscale(rope.factor, rope.mscale) / yarn_mscale(rope.factor, rope.mscale_all_dim);
  else
    result.attention_factor = yarn_mscale(rope.factor, 1);
}

// Wavelengths beyond the original context are stretched by factor, short ones kept, with a smooth passage between.
void scale_llama3(const RopeSpec& rope, std::vector<double>& frequencies) {
  const auto context = static_cast<double>(rope.original_context);
  for (double& f : frequencies) {
    const double wavelength = kTwoPi / f;
    if (wavelength < context / rope.high_freq_factor) continue;
    if (wavelength > context / rope.low_freq_factor) {
      f /= rope.factor;
      continue;
    }
    const double smooth =
        (context / wavelength - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
    f = (1 - smooth) * f / rope.factor + smooth * f;
  }
}

}  // namespace

RopeFrequencies rope_frequencies(const RopeSpec& rope, int64_t rotary_dim) {
  RopeFrequencies result;
  if (!rope.frequencies.empty()) {
    result.frequencies = rope.frequencies;
    if (rope.attention_factor > 0) result.attention_factor = rope.attention_factor;
    return result;
  }
  const auto dim = static_cast<double>(rotary_dim);
  double theta = rope.theta;
  if (rope.scaling == RopeScaling::ntk && rotary_dim > 2) theta *= std::pow(rope.factor, dim / (dim - 2));
  for (int64_t i = 0; i < rotary_dim / 2; ++i)
    result.frequencies.push_back(std::pow(theta, -2.0 * static_cast<double>(i) / dim));
  if (rope.scaling == RopeScaling::linear)
    for (double& f : result.frequencies) f /= rope.factor;
  if (rope.scaling == RopeScaling::yarn) scale_yarn(rope, rotary_dim, result);
  if (rope.scaling == RopeScaling::llama3) scale_llama3(rope, result.frequencies);
  return result;
}

RopeTable rope_table(const RopeSpec& rope, int64_t rotary_dim, int64_t positions) {
  const RopeFrequencies f = rope_frequencies(rope, rotary_dim);
  RopeTable table{positions, rotary_dim / 2, {}, {}};
  table.cos.reserve(static_cast<size_t>(positions * table.half));
  table.sin.reserve(static_cast<size_t>(positions * table.half));
  for (int64_t p = 0; p < positions; ++p)
    for (const double frequency : f.frequencies) {
      const double angle = static_cast<double>(p) * frequency;
      table.cos.push_back(std::cos(angle) * f.attention_factor);
      table.sin.push_back(std::sin(angle) * f.attention_factor);
    }
  return table;
}

std::vector<double> alibi_slopes(int64_t n_heads) {
  const auto n = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(n_heads)));
  std::vector<double> slopes;
  for (int64_t h = 1; h <= n; ++h) slopes.push_back(std::exp2(-8.0 * static_cast<double>(h) / static_cast<double>(n)));
  for (int64_t h = 0; h < n_heads - n; ++h)  // every second slope of the next power of two
    slopes.push_back(std::exp2(-8.0 * static_cast<double>(2 * h + 1) / static_cast<double>(2 * n)));
  return slopes;
}

double softmax_scale(const AttentionSpec& spec) {
  double scale = 1 / std::sqrt(static_cast<double>(spec.key_dim()));
  const RopeSpec& rope = spec.rope;
  if (spec.key_source == KeySource::latent && rope.scaling == RopeScaling::yarn && rope.mscale_all_dim > 0) {
    const double m = yarn_mscale(rope.factor, rope.mscale_all_dim);
    scale *= m * m;
  }
  return scale;
}

}  // namespace mfa
