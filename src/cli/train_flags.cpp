#include "train_flags.h"

#include <algorithm>

#include "base/error.h"
#include "model/enum_names.h"

namespace mfa {
namespace {

// CLI::Range lets NaN pass, since it compares false with both ends.
CLI::Validator real_range(double low, double high) {
  const auto check = [low, high](const std::string& text) {
    double value = 0;
    if (CLI::detail::lexical_cast(text, value) && value >= low && value <= high) return std::string();
    return fmt::format("value {} not in range [{} - {}]", text, low, high);
  };
  return {check, fmt::format("FLOAT in [{} - {}]", low, high)};
}

}  // namespace

void TrainFlags::add_to(CLI::App& app) {
  options.schedule.peak = 1e-3;
  // 2^31 bounds every product of two of them, and what is not a mistake.
  const auto count = [&](const char* flag, int64_t& value, int64_t low, const char* help, const char* group) {
    app.add_option(flag, value, help)->check(CLI::Range(low, int64_t{1} << 31))->capture_default_str()->group(group);
  };
  const auto real = [&](const char* flag, double& value, double low, double high, const char* help) {
    app.add_option(flag, value, help)->check(real_range(low, high))->capture_default_str()->group("Training");
  };
  app.add_option("--data", data, "Files and folders: plain text, .jsonl with a text field, .gz, .zst")
      ->required()
      ->type_name("FILE...")
      ->group("Data");
  app.add_option("--out", out, "Folder of the model, its checkpoints and logs")
      ->required()
      ->type_name("DIR")
      ->group("Data");
  app.add_option("--tokenizer", tokenizer,
                 "A tokenizer.json, a folder that has one, or bytes (default: train one on the text)")
      ->group("Data");
  app.add_option("--cache", cache, "Folder of token files (default: $XDG_CACHE_HOME/mfa)")
      ->type_name("DIR")
      ->group("Data");
  app.add_option("--held-out", held_out, "Share of the text kept for validation")
      ->check(real_range(0.0001, 0.9))
      ->capture_default_str()
      ->group("Data");
  CLI::Option* by_steps = app.add_option("--steps", steps, "Optimizer steps (default 1000)")
                              ->check(CLI::Range(int64_t{1}, int64_t{1} << 40))
                              ->group("Training");
  app.add_option("--tokens", tokens, "Tokens to train on, instead of --steps")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 50))
      ->excludes(by_steps)
      ->group("Training");
  count("--batch", options.batch, 1, "Windows computed at a time", "Training");
  count("--accumulate", options.accumulate, 1, "Batches a step: gradients are summed", "Training");
  real("--lr", options.schedule.peak, 0, 1e9, "Peak learning rate (with --init 2e-5, with --lora 2e-4)");
  app.add_option("--schedule", schedule, "cosine, wsd or constant")->capture_default_str()->group("Training");
  count("--warmup", options.schedule.warmup, 0, "Steps of linear warmup (0: a twentieth of the steps)", "Training");
  real("--min-lr", options.schedule.min_ratio, 0, 1, "Last learning rate, as a share of the peak");
  real("--wsd-decay", options.schedule.decay_share, 0, 1, "wsd: share of the steps that decay");
  real("--decay", options.optimizer.decay, 0, 10, "Weight decay (matrices only; with --init 0)");
  real("--beta1", options.optimizer.beta1, 0, 0.9999, "AdamW");
  real("--beta2", options.optimizer.beta2, 0, 0.99999, "AdamW");
  real("--clip", options.optimizer.clip, 0, 1e9, "Largest gradient norm (0: no clipping)");
  app.add_option("--precision", precision, "auto, bf16 or f32")->capture_default_str()->group("Training");
  app.add_option("--init-kind", init, "Initialisation: paper, gpt2 or deepseek")
      ->capture_default_str()
      ->group("Training");
  app.add_option("--gate-init", gate_init, "mfa-kr's gate at the start: zero, one or normal")
      ->capture_default_str()
      ->group("Training");
  app.add_option("--mix-init", mix_init, "mfa-kr's mix N at the start: fan-in (random) or identity")
      ->capture_default_str()
      ->group("Training");
  count("--validate-every", options.validate_every, 0, "Steps between validations (0: ten times a run)", "Output");
  count("--validation-tokens", options.validation_tokens, 1, "At most so many held-out tokens (with --init 8192)",
        "Output");
  count("--log-every", options.log_every, 1, "Steps between lines of the log", "Output");
  real("--gemm-peak", options.gemm_peak, 0, 1e9,
       "GFLOP/s of this machine that speed is compared with (0: measured at the start)");
  count("--keep-last", options.keep_last, 1, "Checkpoints to keep", "Output");
}

constexpr int64_t kFineTuningValidation = 8192;

// Pre-training's rate would wash out in a few steps what the weights hold, and decay pulls them towards zero, where
// published ones do not want to go. 2e-5 and no decay are what instruction tuning of LLaMA-family models commonly uses
// (Alpaca; TRL's SFT default); adapters start at zero and take ten times that (Hu et al., 2021; QLoRA).
void TrainFlags::use_fine_tuning_defaults(const CLI::App& app, bool adapters) {
  if (app.count("--lr") == 0) options.schedule.peak = adapters ? 2e-4 : 2e-5;
  if (app.count("--decay") == 0) options.optimizer.decay = 0;
  // A published model is larger than what is trained from nothing here, and is validated before its first step too:
  // 65,536 tokens of a 135M model are ten minutes on two busy cores.
  if (app.count("--validation-tokens") == 0) options.validation_tokens = kFineTuningValidation;
}

CorpusOptions TrainFlags::corpus_options(int64_t vocab) const {
  CorpusOptions corpus;
  corpus.data.assign(data.begin(), data.end());
  corpus.tokenizer = tokenizer;
  corpus.vocab = vocab;
  corpus.held_out = held_out;
  corpus.cache = cache;
  return corpus;
}

TrainOptions TrainFlags::train_options(int64_t context) const {
  TrainOptions result = options;
  result.out = out;
  result.context = context;
  constexpr int64_t kMost = int64_t{1} << 31;
  if (options.batch > kMost / context || options.accumulate > kMost / (options.batch * context))
    bad_input("[usage] a step of {} x {} x {} tokens, expected at most 2^31", options.batch, options.accumulate,
              context);
  const int64_t per_step = options.batch * options.accumulate * context;
  result.steps = steps > 0 ? steps : tokens > 0 ? std::max<int64_t>(1, tokens / per_step) : 1000;
  result.schedule.kind = parse_schedule(schedule);
  result.init.kind = parse_enum<InitKind>(init, "--init-kind");
  result.init.gate = parse_enum<GateInit>(gate_init, "--gate-init");
  result.init.mix = parse_enum<MixInit>(mix_init, "--mix-init");
  return result;
}

}  // namespace mfa
