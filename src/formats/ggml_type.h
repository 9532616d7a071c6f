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

constexpr GgmlLayout layout_of(GgmlType type) {
  switch (type) {
    case GgmlType::f32:
      return {"F32", 1, 4};
    case GgmlType::f16:
      return {"F16", 1, 2};
    case GgmlType::q4_0:
      return {"Q4_0", 32, 18};
    case GgmlType::q4_1:
      return {"Q4_1", 32, 20};
    case GgmlType::q5_0:
      return {"Q5_0", 32, 22};
    case GgmlType::q5_1:
      return {"Q5_1", 32, 24};
    case GgmlType::q8_0:
      return {"Q8_0", 32, 34};
    case GgmlType::q2_k:
      return {"Q2_K", 256, 84};
    case GgmlType::q3_k:
      return {"Q3_K", 256, 110};
    case GgmlType::q4_k:
      return {"Q4_K", 256, 144};
    case GgmlType::q5_k:
      return {"Q5_K", 256, 176};
    case GgmlType::q6_k:
      return {"Q6_K", 256, 210};
    case GgmlType::iq4_nl:
      return {"IQ4_NL", 32, 18};
    case GgmlType::bf16:
      return {"BF16", 1, 2};
  }
  return {"", 0, 0};  // no type that we read
}

// The layout of a type in a file; nothing for one that we do not read.
std::optional<GgmlLayout> ggml_layout(uint32_t type);
// What ggml calls a type, also one that we do not read ("IQ2_XS").
std::string_view ggml_type_name(uint32_t type);

}  // namespace mfa
