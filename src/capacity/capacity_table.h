// How capacity rows are shown: a table for people, JSON for programs.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "capacity/capacity.h"

namespace mfa {

// Aligned columns; KV saving is against the first row, if that has a cache. Ends in a line that names T.
std::string capacity_table(std::span<const CapacityRow> rows);

// The keys of `mfa capacity --json`. slsd, frh and ter are the mean over the layers; where layers differ,
// slsd_min, slsd_max, … are added.
nlohmann::ordered_json capacity_json(const CapacityRow& row);

// "4096" or "128..512": a figure of all layers.
std::string figure_text(const LayerFigure& figure);

// A whole number as an integer, for JSON: 1200, not 1200.0.
nlohmann::ordered_json json_number(double value);

}  // namespace mfa
