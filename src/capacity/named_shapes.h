// Shapes that have a name: paper-1b, paper-7b, step3. One row a variant.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "capacity/capacity.h"

namespace mfa {

std::span<const std::string_view> shape_names();

// mha, mqa, gqa, mla, mfa, mfa-kr, matched in parameters. paper-1b and paper-7b: to the first row, by heads and width
// of the feed-forward layers. step3: to the row mfa, which is Step-3's language model as published (arXiv 2507.19427),
// by the width of the experts; mla has DeepSeek-V3's dims there, which is a model of the same width and layers.
std::vector<CapacityRow> capacity_of_shape(std::string_view name, const CapacityOptions& options = {});

// Step-3's layers with attention of `preset`, and experts `expert_width` wide (5120 as published).
CostModel step3_model(std::string_view preset = "mfa", int64_t expert_width = 5120);

}  // namespace mfa
