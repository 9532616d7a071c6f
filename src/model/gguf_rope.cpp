#include "model/gguf_rope.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "formats/quant_blocks.h"
#include "model/gguf_config.h"
#include "model/position.h"

namespace mfa {
namespace {

// The converter computed the divisors in f32, as sums of a few terms: some units in the last place.
bool close(const std::vector<float>& a, const std::vector<float>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](float x, float y) { return std::abs(x - y) <= 1e-5f * std::abs(y); });
}

// The file keeps the divisors, not the rule that made them. Every published Llama 3 has these two factors; its context
// before stretching was 8192, and a power of two in others.
RopeSpec recognise_llama3(const RopeSpec& plain, const std::vector<float>& divisors, int64_t rotary_dim) {
  RopeSpec rope = plain;
  rope.scaling = RopeScaling::llama3;
  rope.factor = written_double(*std::max_element(divisors.begin(), divisors.end()));
  rope.low_freq_factor = 1;
  rope.high_freq_factor = 4;
  for (const int64_t context : {8192, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 16384, 32768, 65536, 131072}) {
    rope.original_context = context;
    if (close(divisors, rope_divisors(rope, rotary_dim))) return rope;
  }
  rope = plain;
  rope.frequencies = rope_frequencies(plain, rotary_dim).frequencies;
  for (size_t i = 0; i < divisors.size(); ++i) rope.frequencies[i] /= static_cast<double>(divisors[i]);
  return rope;
}

std::vector<float> read_divisors(const GgufFile& file, const GgufTensor& tensor, int64_t rotary_dim) {
  if (tensor.size() != rotary_dim / 2)
    bad_input("[{}] rope_freqs.weight, got {} numbers, expected {}", file.where(), tensor.size(), rotary_dim / 2);
  std::vector<float> divisors(static_cast<size_t>(tensor.size()));
  dequantize(tensor.type, tensor.bytes, divisors);
  for (const float d : divisors)
    if (!(d > 0) || !std::isfinite(d))
      bad_input("[{}] rope_freqs.weight holds {}, expected positive numbers", file.where(), d);
  return divisors;
}

}  // namespace

std::vector<float> rope_divisors(const RopeSpec& rope, int64_t rotary_dim) {
  RopeSpec plain;
  plain.theta = rope.theta;
  const std::vector<double> from = rope_frequencies(plain, rotary_dim).frequencies;
  const std::vector<double> to = rope_frequencies(rope, rotary_dim).frequencies;
  std::vector<float> divisors;
  for (size_t i = 0; i < from.size(); ++i) divisors.push_back(static_cast<float>(from[i] / to[i]));
  return divisors;
}

RopeSpec gguf_rope(const GgufFile& file, std::string_view prefix, int64_t rotary_dim) {
  const auto key = [&](std::string_view name) { return fmt::format("{}.rope.{}", prefix, name); };
  const auto number = [&](std::string_view name) {
    const std::optional<double> value = file.find_double(key(name));
    return value ? std::optional(written_double(*value)) : std::nullopt;
  };
  const int64_t dims = file.find_int(key("dimension_count"), 0, 1 << 30).value_or(rotary_dim);
  if (dims != rotary_dim)
    bad_input("[{}] RoPE on a part of the dims, got {} of {}, is not supported", file.where(), dims, rotary_dim);
  RopeSpec rope;
  rope.theta = number("freq_base").value_or(10000);
  const double factor = number("scaling.factor").value_or(number("scale_linear").value_or(1));
  const std::string_view type = file.find_string(key("scaling.type")).value_or(factor != 1 ? "linear" : "none");
  if (type != "none" && type != "linear" && type != "yarn")
    bad_input("[{}] {}, got {}, expected none, linear or yarn", file.where(), key("scaling.type"), type);
  if (type == "linear" && factor != 1) {
    rope.scaling = RopeScaling::linear;
    rope.factor = factor;
  } else if (type == "yarn") {
    rope.scaling = RopeScaling::yarn;
    rope.factor = factor;
    rope.original_context = file.get_int(key("scaling.original_context_length"), 1, 1 << 30);
    rope.beta_fast = number("scaling.yarn_beta_fast").value_or(32);
    rope.beta_slow = number("scaling.yarn_beta_slow").value_or(1);
    // ggml multiplies its own 0.1 ln(factor) + 1 by this.
    if (const double times = number("scaling.attn_factor").value_or(1); times != 1)
      rope.attention_factor = times * (0.1 * std::log(factor) + 1);
    // 0.1 · mscale_all_dim: the softmax is scaled instead of the rotation.
    if (const double log_multiplier = number("scaling.yarn_log_multiplier").value_or(0); log_multiplier != 0)
      rope.mscale = rope.mscale_all_dim = written_double(log_multiplier * 10);
  }
  for (const char* name : {"rope_factors_long.weight", "rope_factors_short.weight"})
    if (file.find_tensor(name) != nullptr) bad_input("[{}] asks for LongRoPE, which is not supported", file.where());
  const GgufTensor* divisors = file.find_tensor("rope_freqs.weight");
  if (divisors == nullptr) return rope;
  if (rope.scaling != RopeScaling::none)
    bad_input("[{}] holds rope_freqs.weight beside {} scaling, expected one of them", file.where(), type);
  return recognise_llama3(rope, read_divisors(file, *divisors, rotary_dim), rotary_dim);
}

}  // namespace mfa
