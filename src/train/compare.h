// Training matched variants under equal conditions, resumably.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "kernels/device.h"
#include "model/presets.h"
#include "train/compare_report.h"
#include "train/trainer.h"

namespace mfa {

struct CompareOptions {
  std::vector<std::string> variants;  // preset names; the first mha (or the first of all) sets the size to match
  PresetOptions shape;
  TrainOptions train;  // out is the comparison's folder; seed and init.seed are set for each run
  int64_t seeds = 1;   // seeds first_seed, first_seed + 1, …
  int64_t first_seed = 0;
  bool lr_sweep = false;  // a fifth of the steps at lr/3, lr and 3 lr for each variant, best by validation
  DType kv_type = DType::bf16;
  int64_t decode_context = 4096;  // decode speed is measured behind this many tokens
};

// Runs live in out/VARIANT-seedN; a finished one is recognised by its result.json and not done again. The data order is
// that of the seed, the same for every variant. Rows come back in the order of `variants`. `interrupted` is set when
// Ctrl-C stopped it: then rows hold what was finished.
std::vector<CompareRow> compare(Device& device, const Corpus& corpus, const CompareOptions& options, bool& interrupted);

// The variants' configs, matched to the size of mha (or of the first variant).
std::vector<ModelConfig> matched_configs(const std::vector<std::string>& variants, const PresetOptions& shape);

}  // namespace mfa
