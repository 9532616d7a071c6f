// Decode speed of a model behind a long context.
#pragma once

#include "kernels/device.h"
#include "model/parameter_store.h"

namespace mfa {

struct DecodeSpeed {
  double tokens_per_s = 0;         // median of single steps of one sequence
  int64_t kv_bytes_per_token = 0;  // as the cache allocated it
};

// Fills `context` tokens of cache by a prefill of arbitrary ids, then times one-token steps.
DecodeSpeed measure_decode(Device& device, const ModelConfig& config, const ParameterStore& weights, DType weight_type,
                           DType kv_type, int64_t context);

}  // namespace mfa
