// Flags of a training run, shared by train and compare.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "train/corpus.h"
#include "train/trainer.h"

namespace mfa {

struct TrainFlags {
  std::vector<std::string> data;
  std::string out, tokenizer, cache, schedule = "cosine", init = "paper", gate_init = "zero", mix_init = "fan-in",
                                     precision = "auto";
  double held_out = 0.05;
  int64_t steps = 0, tokens = 0;
  TrainOptions options;

  void add_to(CLI::App& app);
  // Learning rate and decay that suit going on from a trained model, where `app` was not given others.
  void use_fine_tuning_defaults(const CLI::App& app, bool adapters);
  CorpusOptions corpus_options(int64_t vocab) const;
  // steps from --steps or --tokens; BadInput for both, or for nonsense.
  TrainOptions train_options(int64_t context) const;
};

}  // namespace mfa
