// A ModelConfig in words, for reports.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "model/model_config.h"

namespace mfa {

// "8 query heads × 64, 2 KV heads, RoPE base 10000": one layer's attention.
std::string describe_attention(const AttentionSpec& attention);

// Name and value of each line: width, layers (runs of equal ones are joined: "0–3", "4"), vocabulary, norm and so on.
std::vector<std::pair<std::string, std::string>> describe_model(const ModelConfig& config);

}  // namespace mfa
