// RoPE as GGUF metadata describes it, and back.
#pragma once

#include <string_view>
#include <vector>

#include "formats/gguf.h"
#include "model/attention_spec.h"

namespace mfa {

// `prefix` is the architecture. BadInput for scalings other than none, linear, yarn and llama3's table, and for a
// dimension_count other than rotary_dim.
RopeSpec gguf_rope(const GgufFile& file, std::string_view prefix, int64_t rotary_dim);

// What rope_freqs.weight holds for llama3 scaling: each frequency's divisor, rotary_dim / 2 numbers.
std::vector<float> rope_divisors(const RopeSpec& rope, int64_t rotary_dim);

}  // namespace mfa
