// The number types of GGUF tensors: plain numbers, and blocks of numbers that share scales.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mfa {

// Values as files hold them (ggml.h, enum ggml_type).
enum class GgmlType : uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q2_k = 10,
  q3_k = 11,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  iq4_nl = 20,
  bf16 = 30,
};

struct GgmlLayout {
  std::string_view name;  // as ggml prints it: "Q4_K"
  int64_t numbers;        // in a block; 1 for plain types
  int64_t bytes;          // of a block
};

// The layout of a type that we read; nothing for others.
std::optional<GgmlLayout> ggml_layout(uint32_t type);
GgmlLayout layout_of(GgmlType type);
// What ggml calls a type, also one that we do not read ("IQ2_XS").
std::string_view ggml_type_name(uint32_t type);

}  // namespace mfa
