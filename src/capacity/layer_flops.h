// FLOPs of one layer in the three ways it is run: tokens appended to a cache, a whole sequence forward, and back.
// Each mirrors the code that does it, operation by operation.
#pragma once

#include "capacity/flop_rules.h"
#include "capacity/layer_cost.h"

namespace mfa {

// runtime/inference_layer.cpp: `tokens` new tokens behind `before` cached ones. `expanded`: keys and values of MLA are
// made for each head (what other engines do with prompts), instead of meeting the latent.
Flops inference_flops(const CostLayer& layer, const CostQuery& query, int64_t tokens, int64_t before, bool expanded);

// model/transformer.cpp over a sequence of T = query.context tokens.
Flops forward_flops(const CostLayer& layer, const CostQuery& query);
Flops backward_flops(const CostLayer& layer, const CostQuery& query);

}  // namespace mfa
