// config.json of published families, read for counting only: of models that run, model/config_json.h reads more.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "capacity/cost_spec.h"
#include "formats/json.h"

namespace mfa {

// Any config.json: of a model that runs (then as config_from_json reads it, `runs`), or of LLaMA, Mistral, Mixtral,
// Qwen2, Qwen3 (dense and MoE), DeepSeek-V2 and V3, Kimi-K2, Step-3, MiniMax-Text-01 and M1, ERNIE 4.5, Pangu Pro MoE,
// Gemma, Llama-4. A config that wraps a `text_config` is counted by that. `notes` name what is left out or not run.
// BadInput, naming `where` and the key or kind of layer, for what is missing, out of range, or cannot be judged.
CostModel cost_model_from_json(const Json& json, std::string_view where);

// model_type values that are known.
std::vector<std::string_view> counted_model_types();

}  // namespace mfa
