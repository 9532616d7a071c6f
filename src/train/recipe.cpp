#include "train/recipe.h"

#include "kernels/precision.h"
#include "model/enum_names.h"

namespace mfa {

std::string first_difference(const Json& before, const Json& now) {
  if (before.is_object() && now.is_object())
    for (const auto& [key, value] : now.items())
      if (!before.contains(key) || before[key] != value)
        return key + ": " + first_difference(before.value(key, Json()), value);
  return fmt::format("got {}, expected {}", now.dump(), before.dump());
}

Json recipe_of(const Corpus& corpus, const TrainOptions& o, Precision precision) {
  return {
      {"corpus", corpus.fingerprint},
      {"batch", o.batch},
      {"accumulate", o.accumulate},
      {"context", o.context},
      {"precision", name_of(precision)},
      {"schedule",
       {{"kind", name_of(o.schedule.kind)},
        {"peak", o.schedule.peak},
        {"warmup", o.schedule.warmup},
        {"min_ratio", o.schedule.min_ratio},
        {"decay_share", o.schedule.decay_share}}},
      {"optimizer",
       {{"beta1", o.optimizer.beta1},
        {"beta2", o.optimizer.beta2},
        {"eps", o.optimizer.eps},
        {"decay", o.optimizer.decay},
        {"clip", o.optimizer.clip}}},
      {"init", {{"kind", enum_name(o.init.kind)}, {"gate", enum_name(o.init.gate)}, {"mix", enum_name(o.init.mix)}}}};
}

}  // namespace mfa
