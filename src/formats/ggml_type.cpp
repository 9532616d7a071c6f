#include "formats/ggml_type.h"

#include <algorithm>
#include <array>

namespace mfa {
namespace {

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
  const GgmlLayout layout = layout_of(static_cast<GgmlType>(type));
  return layout.numbers > 0 ? std::optional(layout) : std::nullopt;
}

std::string_view ggml_type_name(uint32_t type) {
  if (const auto layout = ggml_layout(type)) return layout->name;
  const auto found = std::find_if(kForeign.begin(), kForeign.end(), [&](const Foreign& f) { return f.type == type; });
  return found == kForeign.end() ? "unknown to ggml" : found->name;
}

}  // namespace mfa
