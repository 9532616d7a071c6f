#include "formats/ggml_type.h"

#include <algorithm>
#include <array>

namespace mfa {
namespace {

struct Named {
  uint32_t type;
  GgmlLayout layout;
};

constexpr std::array<Named, 14> kRead = {{{0, {"F32", 1, 4}},
                                          {1, {"F16", 1, 2}},
                                          {2, {"Q4_0", 32, 18}},
                                          {3, {"Q4_1", 32, 20}},
                                          {6, {"Q5_0", 32, 22}},
                                          {7, {"Q5_1", 32, 24}},
                                          {8, {"Q8_0", 32, 34}},
                                          {10, {"Q2_K", 256, 84}},
                                          {11, {"Q3_K", 256, 110}},
                                          {12, {"Q4_K", 256, 144}},
                                          {13, {"Q5_K", 256, 176}},
                                          {14, {"Q6_K", 256, 210}},
                                          {20, {"IQ4_NL", 32, 18}},
                                          {30, {"BF16", 1, 2}}}};

struct Foreign {
  uint32_t type;
  std::string_view name;
};

// Known to ggml only: named in the refusal.
constexpr std::array<Foreign, 19> kForeign = {{{9, "Q8_1"},
                                               {15, "Q8_K"},
                                               {16, "IQ2_XXS"},
                                               {17, "IQ2_XS"},
                                               {18, "IQ3_XXS"},
                                               {19, "IQ1_S"},
                                               {21, "IQ3_S"},
                                               {22, "IQ2_S"},
                                               {23, "IQ4_XS"},
                                               {24, "I8"},
                                               {25, "I16"},
                                               {26, "I32"},
                                               {27, "I64"},
                                               {28, "F64"},
                                               {29, "IQ1_M"},
                                               {34, "TQ1_0"},
                                               {35, "TQ2_0"},
                                               {39, "MXFP4"},
                                               {40, "NVFP4"}}};

}  // namespace

std::optional<GgmlLayout> ggml_layout(uint32_t type) {
  const auto found = std::find_if(kRead.begin(), kRead.end(), [&](const Named& n) { return n.type == type; });
  return found == kRead.end() ? std::nullopt : std::optional(found->layout);
}

GgmlLayout layout_of(GgmlType type) { return *ggml_layout(static_cast<uint32_t>(type)); }

std::string_view ggml_type_name(uint32_t type) {
  if (const auto layout = ggml_layout(type)) return layout->name;
  const auto found = std::find_if(kForeign.begin(), kForeign.end(), [&](const Foreign& f) { return f.type == type; });
  return found == kForeign.end() ? "unknown to ggml" : found->name;
}

}  // namespace mfa
