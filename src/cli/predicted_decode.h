// Predicted decode times of counted models on machines whose operations were measured.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>

#include "capacity/capacity_table.h"
#include "capacity/cost_spec.h"

namespace mfa {

// A row, and the model that it counts where that is one that runs.
struct PredictedModel {
  const CapacityRow& row;
  const std::optional<CostModel>& model;
};

// [{hardware, batch, weights, seconds, products_seconds, attention_seconds, vectors_seconds, tokens_per_s}] for the
// measured ones of question.hardware; empty for models that do not run. Batch 1 unless the question names one.
nlohmann::ordered_json predicted_decode_json(const PredictedModel& subject, DType kv, const HardwareQuestion& question);
// The same, one line a model and machine; empty if there is none.
std::string predicted_decode_table(std::span<const PredictedModel> subjects, DType kv,
                                   const HardwareQuestion& question);

}  // namespace mfa
