// Folding: MFA without a latent norm is exactly a LLaMA-layout MQA model of head dim C (docs/theory.md, "Folding").
#pragma once

#include <map>
#include <string>
#include <vector>

#include "model/model_config.h"
#include "model/parameter_store.h"

namespace mfa {

struct FoldedModel {
  ModelConfig config;                                // dense queries, projected keys and values
  std::map<std::string, std::vector<float>> values;  // by parameter name of that config
};

// q_proj = Q_c S_q (all heads), and for MFA-KR v_proj = A k_proj. Products are summed in double.
// BadInput, naming the reason, for what does not fold: a latent norm, MLA, FPBA, values taken after RoPE, a shared
// cache.
FoldedModel fold(const ModelConfig& config, const ParameterStore& store);
bool can_fold(const ModelConfig& config);  // false also for models that have nothing to fold

// A of a layer (row-major [C, C]): I, N, I + N or I + diag(α) N.
std::vector<double> value_matrix(const ModelConfig& config, const ParameterStore& store, int64_t layer);

}  // namespace mfa
