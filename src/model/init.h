// Initialisation by name, so that sensitivity to it can be measured.
#pragma once

#include <cstdint>

#include "model/parameter_store.h"

namespace mfa {

struct InitOptions {
  InitKind kind = InitKind::paper;
  GateInit gate = GateInit::zero;  // α of MFA-KR; N is always random, else its gradient and α's were both zero
  MixInit mix = MixInit::fan_in;   // N of MFA-KR
  uint64_t seed = 0;
};

// Norm weights 1, biases 0. Matrices normal with standard deviation
//   paper     in^−½; the FFN's second matrix divided by √(2·layer), layers counted from 1 (the paper's rule, its base
//             deviation is not published); embedding and classifier 0.02
//   gpt2      0.02; o_proj and down_proj divided by √(2·layers)
//   deepseek  0.006
// N (value_mix) is in^−½, or the identity, under all three. Each tensor draws from its own stream of `seed`, named by
// the tensor, so that equal tensors of two variants start equal and a run is the same on every machine.
void initialise(ParameterStore& parameters, const ModelConfig& config, const InitOptions& options);

}  // namespace mfa
