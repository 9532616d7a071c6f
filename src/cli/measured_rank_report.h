// The measured ranks of a model as `mfa capacity MODEL --measured-rank` shows them.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "capacity/measured_rank.h"

namespace mfa {

// Opens MODEL's weights and measures every head. `tolerance` 0: the default (capacity/measured_rank.h).
MeasuredRank measure_model_rank(const std::filesystem::path& model, const ModelConfig& config, double tolerance);

// A line a layer: smallest, mean and largest over its heads.
std::string measured_rank_table(const std::string& name, const MeasuredRank& rank);

// {tolerance, ter_qk, ter_vo, heads: [{layer, head, qk_rank, qk_rank_bound, qk_stable_rank, vo_rank, …}]}
nlohmann::ordered_json measured_rank_json(const MeasuredRank& rank);

}  // namespace mfa
