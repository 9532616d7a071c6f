// Pre-training: corpus in, model folder with checkpoints and logs out.
#pragma once

#include <cmath>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "kernels/device.h"
#include "model/init.h"
#include "model/lora.h"
#include "train/corpus.h"
#include "train/loader.h"
#include "train/optimizer.h"
#include "train/schedule.h"

namespace mfa {

struct TrainOptions {
  std::filesystem::path out;
  int64_t steps = 1000, batch = 8, accumulate = 1;  // a step sees batch · accumulate · context tokens
  int64_t context = 256;
  Schedule schedule;  // steps is filled in
  OptimizerOptions optimizer;
  InitOptions init;
  LoraSpec lora;  // rank 0: the weights themselves are trained; else adapters on the model of init_from
  std::filesystem::path init_from;   // --init MODEL: start from its weights
  std::filesystem::path companions;  // the model whose tokenizer files go along; empty: made from the tokenizer
  uint64_t seed = 0;                 // of the data order; init.seed is that of the weights
  int64_t checkpoint_every = 0;      // 0: only at the end
  int64_t keep_last = 2;
  bool keep_best = true;
  int64_t validate_every = 0;           // 0: ten times a run
  int64_t validation_tokens = 1 << 16;  // at most so many held-out tokens
  int64_t log_every = 10;
  bool resume = false;
  std::filesystem::path dump_batches;  // a line of JSON for each batch of each step: ids, targets, doc_start; or empty
  std::string title = "training";      // of the progress bar
  double gemm_peak = 0;                // GFLOP/s of this machine; 0: measured at the start
};

// The loss or the weights are no numbers any more. A result of its own for comparisons, a failure for a single run.
class Diverged : public Failure {
 public:
  using Failure::Failure;
};

struct TrainResult {
  int64_t steps = 0, tokens = 0;
  double train_loss = 0;                           // smoothed over the last few dozen steps
  double val_loss = NAN, val_bits_per_byte = NAN;  // of the last validation; NaN: there was none yet
  double val_loss_before = NAN;                    // of the model as it came, with init_from; else NaN
  double tokens_per_s = 0;                         // median over this process's steps; 0 when there were none
  double gemm_share = 0;                           // model FLOPs a second ÷ the machine's GEMM peak
  double seconds = 0;
  bool interrupted = false;   // Ctrl-C: a checkpoint was written
  bool already_done = false;  // --resume on a finished run: nothing was changed
};

struct Validation {
  double loss = 0;           // nats a scored token
  double bits_per_byte = 0;  // of the text those tokens stand for
};

// Trains `config` on the corpus. BadInput when options and the run being resumed disagree; Failure when the loss is not
// a number (the last good checkpoint stays) or the disk is full.
TrainResult train(Device& device, const ModelConfig& config, const Corpus& corpus, const TrainOptions& options);

// GFLOP/s of the library's matrix product, measured now, in the precision that the device multiplies in (bf16 that is
// emulated runs at f32's).
double gemm_peak(const Device& device);

// Asks running train() calls to stop after their step, as Ctrl-C does. Safe inside a signal handler.
void request_stop();
bool stop_requested();
void stop_on_interrupt();  // Ctrl-C and SIGTERM call request_stop() from now on; a second one kills

}  // namespace mfa
