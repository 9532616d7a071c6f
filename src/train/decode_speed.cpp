#include "train/decode_speed.h"

#include <algorithm>
#include <vector>

#include "base/progress.h"
#include "runtime/engine.h"

namespace mfa {

DecodeSpeed measure_decode(Device& device, const ModelConfig& config, const ParameterStore& weights, DType weight_type,
                           DType kv_type, int64_t context) {
  constexpr int64_t kSteps = 24;
  Engine engine(device, config, weights, {.weights = weight_type, .positions = context + kSteps});
  KvCache cache(device, config, kv_type, context + kSteps);
  Sequence sequence(cache);
  std::vector<int32_t> ids(static_cast<size_t>(context));
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i * 7919 % static_cast<size_t>(config.vocab));
  StepItem prompt{&sequence, ids, Wanted::nothing, {}, {}};
  engine.step(cache, {&prompt, 1});
  std::vector<double> seconds;
  for (int64_t i = 0; i < kSteps; ++i) {
    StepItem next{&sequence, std::span(ids).first(1), Wanted::last_logits, {}, {}};
    const double began = now_seconds();
    engine.step(cache, {&next, 1});
    seconds.push_back(now_seconds() - began);
  }
  std::nth_element(seconds.begin(), seconds.begin() + kSteps / 2, seconds.end());
  return {1 / seconds[kSteps / 2], cache.bytes_per_token()};
}

}  // namespace mfa
