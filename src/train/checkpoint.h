// Checkpoints: a folder step-N/ with model.safetensors (of a LoRA run: adapter_model.safetensors),
// optimizer.safetensors, trainer.json, and MANIFEST written last; config and tokenizer beside them make it a model (or
// adapter) folder too.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "formats/json.h"
#include "train/model_output.h"
#include "train/optimizer.h"

namespace mfa {

// MANIFEST holds a line a file as the program xxh128sum writes and checks it. A folder without one is no checkpoint:
// its writing was cut short, and nothing looks at it.
void write_checkpoint(const std::filesystem::path& run, int64_t step, const RunModel& model, Optimizer& optimizer,
                      const Json& trainer);

// Steps of the whole checkpoints of a run, ascending.
std::vector<int64_t> checkpoint_steps(const std::filesystem::path& run);

// Checks every file against the manifest (BadInput names the file that differs), loads weights and moments, and
// returns trainer.json.
Json read_checkpoint(const std::filesystem::path& run, int64_t step, const RunModel& model, Optimizer& optimizer);

// Deletes all but the last `keep` checkpoints and `best` (−1: none), and what interrupted writing left behind.
void prune_checkpoints(const std::filesystem::path& run, int64_t keep, int64_t best);

}  // namespace mfa
