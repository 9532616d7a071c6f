// What a run is made of, for telling whether a folder may be gone on with.
#pragma once

#include <string>

#include "formats/json.h"
#include "train/trainer.h"

namespace mfa {

// What must be the same for a resumed run to go on as if it had never stopped, but for spec and seeds. More steps are
// welcome; a warmup of 0 (a twentieth of the steps) then grows with them.
Json recipe_of(const Corpus& corpus, const TrainOptions& options, Precision precision);

// "steps: got 5, expected 4": the first member in which two JSON values differ.
std::string first_difference(const Json& before, const Json& now);

}  // namespace mfa
