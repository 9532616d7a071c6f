// config.json of a model folder: our ModelConfig as published architectures write it, and back.
#pragma once

#include <string>
#include <string_view>

#include "formats/json.h"
#include "model/model_config.h"

namespace mfa {

// Published layouts. A folder carries one of these names only if that architecture's code computes exactly what our
// spec computes; every other spec is `mfa_cpp`, with the whole spec in its config.
enum class Layout { llama, mistral, qwen2, qwen3, deepseek_v3, step3, mfa_cpp };

Layout layout_of(const ModelConfig& config);
std::string_view architecture_of(Layout layout);  // "LlamaForCausalLM", …

// What transformers 4 and 5 both read: rope_theta and rope_scaling beside rope_parameters, torch_dtype beside dtype.
Json config_to_json(const ModelConfig& config, std::string_view dtype = "float32");

// BadInput, naming `where` and the key, for what is missing, out of range, or asks for something we do not have.
ModelConfig config_from_json(const Json& json, std::string_view where);

// DeepSeek's own checkpoints rotate neighbouring rows (2i, 2i + 1) where ours and all others rotate (i, i + dim/2):
// true if the weights beside this config are in that order.
bool rotates_neighbours(const Json& json, std::string_view where);

// The spec itself, as `mfa_cpp` folders hold it and `train --config` takes it.
Json spec_to_json(const ModelConfig& config);
ModelConfig spec_from_json(const Json& json, std::string_view where);

Json rope_to_json(const RopeSpec& rope);
RopeSpec rope_from_json(const Json& config, std::string_view where);  // from any config that has rope keys

}  // namespace mfa
