#include "train/trainer.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/median.h"
#include "base/progress.h"
#include "capacity/capacity.h"
#include "kernels/machine.h"
#include "kernels/precision.h"
#include "model/config_json.h"
#include "model/enum_names.h"
#include "model/model_folder.h"
#include "model/transformer.h"
#include "train/checkpoint.h"
#include "train/model_output.h"
#include "train/packed_rows.h"
#include "train/recipe.h"
#include "train/tensorboard.h"
#include "train/train_log.h"
#include "train/validation.h"

namespace mfa {
namespace {

// The training loss that is reported is smoothed, and its state is part of the checkpoint.
constexpr double kSmoothing = 0.95;

std::unique_ptr<BatchSource> make_loader(const Corpus& corpus, const TrainOptions& options) {
  if (corpus.row_context == 0) return std::make_unique<Loader>(corpus.train, options.context, options.seed);
  if (corpus.row_context != options.context)
    bad_input("[train] the rows were packed for another context, got {}, expected {}", corpus.row_context,
              options.context);
  return std::make_unique<RowLoader>(corpus.train, options.context, options.seed);
}

// One run: state, the loop over steps, and what is written along the way.
class Run {
 public:
  Run(Device& device, const ModelConfig& config, const Corpus& corpus, const TrainOptions& options)
      : device_(device),
        config_(config),
        corpus_(corpus),
        options_(options),
        weights_(device, config),
        lora_(options.lora.rank > 0 ? std::optional<Lora>(std::in_place, device, config, options.lora) : std::nullopt),
        gradients_(device, lora_ ? vectors_of(config) : weights_.table()),
        files_{config_,           corpus.tokenizer,
               weights_,          lora_ ? &*lora_ : nullptr,
               options.init_from, lora_ && has_interleaved_rows(options.init_from),
               options.companions},
        optimizer_(files_.trained(), trained_gradients(), options.optimizer),
        loader_(make_loader(corpus, options)),
        model_(weights_, &gradients_, config_, options.batch, options.context, files_.lora),
        recipe_(recipe_of(corpus, options, device.precision())) {
    recipe_["spec"] = spec_to_json(config);
    recipe_["seed"] = options.seed;
    recipe_["init_seed"] = options.init.seed;
    if (config_.eos < 0) config_.eos = corpus.tokenizer.eos();
    options_.schedule.steps = options.steps;
    if (options_.schedule.warmup == 0) options_.schedule.warmup = std::max<int64_t>(1, options.steps / 20);
    if (corpus.row_context == 0 && corpus.held_out.size() < options.context + 1)
      bad_input(
          "[train] the held-out text is shorter than a window, got {} tokens, expected at least {} (--context and "
          "one more): use a larger --held-out or a shorter --context",
          corpus.held_out.size(), options.context + 1);
    if (options_.validate_every <= 0) options_.validate_every = std::max<int64_t>(1, options.steps / 10);
  }

  TrainResult go();

 private:
  void refuse_other_work() const;
  bool model_written() const;
  void start();
  void load_frozen();
  bool resume();
  std::optional<double> micro_batches(int64_t step);
  void dump(int64_t step, const Batch& batch);
  void step(int64_t step);
  void after_step(int64_t step);
  bool validate(int64_t step);  // true: the best so far
  void validate_start();
  void log_step(int64_t step, double loss, double norm, double lr, double seconds);
  [[noreturn]] void diverged(int64_t step, const std::string& what) const;
  void add_layer_statistics(nlohmann::ordered_json& line);
  void save(int64_t step);
  void summarise();
  void finish();
  double share_of_peak(double tokens_per_s) const {
    return tokens_per_s * flops_per_token_ / (options_.gemm_peak * 1e9);
  }
  ParameterStore& trained_gradients() { return lora_ ? lora_->gradients : gradients_; }
  void note_memory() const;
  double flops_per_token() const;
  int64_t tokens_per_step() const { return options_.batch * options_.accumulate * options_.context; }

  Device& device_;
  ModelConfig config_;
  const Corpus& corpus_;
  TrainOptions options_;
  ParameterStore weights_;
  std::optional<Lora> lora_;
  ParameterStore gradients_;  // of the weights; with adapters, of nothing that is trained
  RunModel files_;
  Optimizer optimizer_;
  std::unique_ptr<BatchSource> loader_;
  Transformer model_;
  Json recipe_;
  double flops_per_token_ = 0;
  int64_t done_ = 0;  // steps
  double best_loss_ = INFINITY;
  int64_t best_step_ = -1, last_saved_ = -1;
  std::vector<Batch> batches_;
  std::vector<double> step_rates_;
  double smoothed_loss_ = 0;  // Σ of losses with weights that halve every ~14 steps; not yet divided by their sum
  std::optional<TrainLog> log_, dump_;
  std::optional<TensorBoardWriter> board_;
  std::optional<Progress> progress_;
  TrainResult result_;
};

// Adapters stand on the model as published, on resuming too; on another one they would be noise.
void Run::load_frozen() {
  load_parameters(*open_weights(options_.init_from), config_, weights_);
  std::string checksums;
  for (const ParameterSpec& spec : weights_.table()) {
    const std::vector<float> values = weights_.download(spec);
    checksums += checksum(std::as_bytes(std::span(values)));
  }
  recipe_["lora"] = {{"rank", options_.lora.rank},
                     {"alpha", options_.lora.alpha},
                     {"targets", options_.lora.targets},
                     {"base", checksum(std::as_bytes(std::span(checksums)))}};
}

void Run::start() {
  if (options_.init_from.empty())
    initialise(weights_, config_, options_.init);
  else if (!lora_)
    load_parameters(*open_weights(options_.init_from), config_, weights_);
  else
    initialise(*lora_, options_.init.seed);
}

// What the run will touch; the device has refused by now what the machine cannot hold.
void Run::note_memory() const {
  const auto bytes = [&](int64_t numbers) { return static_cast<size_t>(numbers) * size_of(device_.real()); };
  const int64_t trained = files_.trained().size(), adapters = lora_ ? trained : 0;
  const size_t weights = bytes(weights_.size() + adapters), gradients = bytes(gradients_.size() + adapters),
               moments = bytes(2 * trained), activations = model_.activation_bytes();
  note(fmt::format("[train] memory: weights {}, gradients {}, optimizer {}, activations {}; {} in all{}",
                   human_bytes(weights), human_bytes(gradients), human_bytes(moments), human_bytes(activations),
                   human_bytes(weights + gradients + moments + activations),
                   lora_ ? fmt::format("; adapters of rank {} have {} parameters, the model's {} are frozen",
                                       lora_->spec.rank, trained, weights_.size())
                         : ""));
}

// True when a checkpoint was found and loaded.
bool Run::resume() {
  const std::vector<int64_t> steps = checkpoint_steps(options_.out);
  if (steps.empty()) return false;
  const Json state = read_checkpoint(options_.out, steps.back(), files_, optimizer_);
  const std::string where = (options_.out / ("step-" + std::to_string(steps.back())) / "trainer.json").string();
  const Json& before = get_object(state, "recipe", where);
  for (const auto& [key, value] : recipe_.items())
    if (!before.contains(key) || before[key] != value)
      bad_input("[train] {} was made with another {} ({}); a run goes on with its own, or starts anew in another --out",
                where, key, first_difference(before.value(key, Json()), value));
  done_ = get_int(state, "step", where, 0);
  loader_->seek(get_int(state, "loader_position", where, 0));
  best_step_ = get_int(state, "best_step", where, -1);
  if (best_step_ >= 0) best_loss_ = get_double(state, "best_loss", where);
  if (const Json* last = find_member(state, "val_loss", where))
    result_.val_loss = last->is_number() ? last->get<double>() : NAN;
  result_.val_loss_before = find_double(state, "val_loss_before", where).value_or(NAN);
  result_.val_bits_per_byte = find_double(state, "val_bits_per_byte", where).value_or(NAN);
  smoothed_loss_ = get_double(state, "smoothed_loss", where);
  last_saved_ = done_;
  return true;
}

void Run::dump(int64_t step, const Batch& batch) {
  dump_->append({{"step", step},
                 {"context", batch.context},
                 {"ids", batch.ids},
                 {"targets", batch.targets},
                 {"doc_start", batch.doc_start}});
}

// Forward and backward over the step's batches; the mean loss of its scored tokens, if it has any.
std::optional<double> Run::micro_batches(int64_t step) {
  batches_.resize(static_cast<size_t>(options_.accumulate));
  int64_t scored = 0;
  for (Batch& batch : batches_) {
    loader_->next(options_.batch, batch);
    if (dump_) dump(step, batch);
    scored += std::count_if(batch.targets.begin(), batch.targets.end(), [](int32_t t) { return t >= 0; });
  }
  if (scored == 0) return std::nullopt;
  device_.fill(trained_gradients().flat(), 0);
  double nats = 0;
  for (const Batch& batch : batches_)
    nats += model_.loss_and_gradients(
        {batch.ids, batch.targets,
         batch.documents ? std::span<const int32_t>(batch.doc_start) : std::span<const int32_t>()},
        1.0 / static_cast<double>(scored));
  return nats / static_cast<double>(scored);
}

void Run::step(int64_t step) {
  const double began = now_seconds();
  const bool log_now = step % options_.log_every == 0 || step == 1 || step == options_.steps;
  model_.record_max_logits(log_now);
  const std::optional<double> scored_loss = micro_batches(step);
  if (!scored_loss) {  // windows of nothing but ends of documents: there is nothing to learn from
    done_ = step;
    return;
  }
  const double loss = *scored_loss;
  const double norm = optimizer_.gradient_norm();
  if (!std::isfinite(loss) || !std::isfinite(norm))
    diverged(step, fmt::format("loss {}, gradient norm {}", loss, norm));
  const double lr = options_.schedule.at(step);
  optimizer_.update(step, lr, norm);
  const double seconds = now_seconds() - began;
  done_ = step;
  step_rates_.push_back(static_cast<double>(tokens_per_step()) / seconds);
  smoothed_loss_ = kSmoothing * smoothed_loss_ + (1 - kSmoothing) * loss;
  if (log_now) log_step(step, loss, norm, lr, seconds);
  const double rate = median(std::vector<double>(
      step_rates_.end() - std::min<std::ptrdiff_t>(20, static_cast<std::ptrdiff_t>(step_rates_.size())),
      step_rates_.end()));
  progress_->update(
      step, fmt::format("loss {:.3f}  {:.0f} tokens/s  {:.0f} % of GEMM peak{}", loss, rate, 100 * share_of_peak(rate),
                        result_.val_loss > 0 ? fmt::format("  val {:.3f}", result_.val_loss) : ""));
}

void Run::diverged(int64_t step, const std::string& what) const {
  const std::string left =
      last_saved_ < 0
          ? "there is no checkpoint yet: try a lower --lr or a longer --warmup"
          : fmt::format("the checkpoint of step {} is untouched: go on from it with --init {} and a lower --lr",
                        last_saved_, (options_.out / ("step-" + std::to_string(last_saved_))).string());
  throw Diverged(fmt::format("[train] the loss is not a number at step {} ({}); {}", step, what, left));
}

void Run::add_layer_statistics(nlohmann::ordered_json& line) {
  const std::vector<double> logits = model_.max_logits();
  nlohmann::ordered_json layers = nlohmann::ordered_json::array();
  for (int64_t i = 0; i < config_.n_layers(); ++i) {
    int64_t begin = -1, end = 0;
    for (const ParameterSpec& spec : files_.trained().table())
      if (spec.layer == i) {
        if (begin < 0) begin = spec.offset;
        end = spec.offset + spec.size();
      }
    const double squares = device_.sum_of_squares(trained_gradients().flat().slice_cols(begin, end - begin));
    nlohmann::ordered_json layer = {{"grad_norm", std::sqrt(squares)}, {"max_logit", logits[static_cast<size_t>(i)]}};
    const std::string gate = "model.layers." + std::to_string(i) + ".self_attn.value_gate";
    if (weights_.has(gate)) {
      double sum = 0;
      const std::vector<double> alpha = weights_.download_f64(weights_.spec(gate));
      for (const double a : alpha) sum += std::abs(a);
      layer["mean_abs_alpha"] = sum / static_cast<double>(alpha.size());
    }
    layers.push_back(std::move(layer));
  }
  line["layers"] = std::move(layers);
}

void Run::log_step(int64_t step, double loss, double norm, double lr, double seconds) {
  const double rate = static_cast<double>(tokens_per_step()) / seconds;
  nlohmann::ordered_json line = {
      {"step", step},         {"tokens", step * tokens_per_step()}, {"loss", loss}, {"lr", lr}, {"grad_norm", norm},
      {"tokens_per_s", rate}, {"gemm_share", share_of_peak(rate)}};
  add_layer_statistics(line);
  log_->append(line);
  board_->scalars(step, {{"loss/train", loss}, {"lr", lr}, {"grad_norm", norm}, {"tokens_per_s", rate}});
}

bool Run::validate(int64_t step) {
  model_.record_max_logits(false);
  const Validation v = validate_loss(model_, corpus_, options_.batch, options_.context, options_.validation_tokens);
  if (!std::isfinite(v.loss)) diverged(step, fmt::format("validation loss {}", v.loss));
  result_.val_loss = v.loss;
  result_.val_bits_per_byte = v.bits_per_byte;
  log_->append({{"step", step}, {"val_loss", v.loss}, {"val_bits_per_byte", v.bits_per_byte}});
  board_->scalars(step, {{"loss/validation", v.loss}, {"bits_per_byte/validation", v.bits_per_byte}});
  const bool better = v.loss < best_loss_;
  if (better) {
    best_loss_ = v.loss;
    best_step_ = step;
  }
  return better;
}

void Run::validate_start() {
  validate(0);
  result_.val_loss_before = result_.val_loss;
  note(fmt::format("[train] held-out loss before the first step: {:.4f}", result_.val_loss));
  best_loss_ = INFINITY, best_step_ = -1;  // there is no checkpoint of step 0 to keep
}

void Run::save(int64_t step) {
  // A finite gradient can still make an infinite weight; such weights must not push good ones out.
  if (!std::isfinite(device_.sum_of_squares(files_.trained().flat()))) diverged(step, "infinite weights");
  Json state = {{"step", step},
                {"loader_position", loader_->position()},
                {"best_step", best_step_},
                {"best_loss", std::isfinite(best_loss_) ? Json(best_loss_) : Json(nullptr)},
                {"val_loss", result_.val_loss},
                {"val_loss_before", result_.val_loss_before},
                {"val_bits_per_byte", result_.val_bits_per_byte},
                {"smoothed_loss", smoothed_loss_},
                {"recipe", recipe_}};
  write_checkpoint(options_.out, step, files_, optimizer_, state);
  last_saved_ = step;
  prune_checkpoints(options_.out, options_.keep_last, options_.keep_best ? best_step_ : -1);
}

void Run::after_step(int64_t step) {
  const bool last = step == options_.steps;
  const bool best = (step % options_.validate_every == 0 || last) && validate(step);
  if (last || stop_requested() || (best && options_.keep_best) ||
      (options_.checkpoint_every > 0 && step % options_.checkpoint_every == 0)) {
    save(step);
  }
}

void Run::summarise() {
  result_.steps = done_;
  result_.tokens = done_ * tokens_per_step();
  result_.train_loss = done_ > 0 ? smoothed_loss_ / (1 - std::pow(kSmoothing, static_cast<double>(done_))) : 0;
}

void Run::finish() {
  summarise();
  result_.tokens_per_s = median(step_rates_);
  result_.gemm_share = share_of_peak(result_.tokens_per_s);
  if (result_.interrupted) return;
  files_.write_weights(options_.out);
  files_.write_rest(options_.out);
}

// --out must be new, or the folder of the run that goes on.
void Run::refuse_other_work() const {
  const bool checkpoints = !checkpoint_steps(options_.out).empty();
  if (checkpoints && !options_.resume)
    bad_input("[train] {} holds checkpoints of a run already; give --resume to go on with it, or another --out",
              options_.out.string());
  if (!checkpoints && path_exists(options_.out / files_.weights_file()))
    bad_input("[train] {} holds a model but no checkpoint to go on from; give another --out", options_.out.string());
}

// True when the model in --out is the last checkpoint's: config.json is written last, but a run that was given more
// steps has an older one there.
bool Run::model_written() const {
  const fs::path model = options_.out / files_.weights_file();
  if (!path_exists(options_.out / files_.config_file()) || !path_exists(model)) return false;
  return checksum(MappedFile(model).bytes()) ==
         checksum(MappedFile(options_.out / ("step-" + std::to_string(done_)) / files_.weights_file()).bytes());
}

// Frozen weights spare the product that makes their gradients: two thirds of the work are left, and the adapters' own.
double Run::flops_per_token() const {
  const double whole = capacity_of(config_, "", {.context = options_.context}).flops_per_token_train;
  return lora_ ? whole * 2 / 3 + 6 * static_cast<double>(lora_->weights.size()) : whole;
}

TrainResult Run::go() {
  const double began = now_seconds();
  refuse_other_work();
  make_folder(options_.out);
  if (lora_) load_frozen();
  const bool resumed = options_.resume && resume();
  if (!resumed) start();
  if (resumed && done_ >= options_.steps && model_written()) {
    result_.already_done = true;
    summarise();
    return result_;
  }
  if (options_.resume)
    prune_checkpoints(options_.out, options_.keep_last,
                      options_.keep_best ? best_step_ : -1);  // what a kill left behind
  if (options_.gemm_peak <= 0) options_.gemm_peak = gemm_peak(device_);
  note_memory();
  flops_per_token_ = flops_per_token();
  log_.emplace(options_.out / "log.jsonl", resumed ? done_ : -1);
  if (!options_.dump_batches.empty()) dump_.emplace(options_.dump_batches, resumed ? done_ : -1);
  board_.emplace(options_.out / "tensorboard");
  // What fine-tuning is measured by: the loss of the model as it came.
  if (done_ == 0 && !options_.init_from.empty()) validate_start();
  progress_.emplace(options_.title, options_.steps, done_);
  for (int64_t s = done_ + 1; s <= options_.steps; ++s) {
    step(s);
    after_step(s);
    if (stop_requested()) {
      result_.interrupted = s < options_.steps;
      break;
    }
  }
  progress_.reset();
  finish();
  result_.seconds = now_seconds() - began;
  return result_;
}

}  // namespace

double gemm_peak(const Device& device) {
  const MachineLimits limits = measure_machine(0.5, true);
  const bool bf16 = device.precision() == Precision::bf16 && limits.gemm_bf16_gflop_per_s > 0;
  return bf16 ? limits.gemm_bf16_gflop_per_s : limits.gemm_f32_gflop_per_s;
}

TrainResult train(Device& device, const ModelConfig& config, const Corpus& corpus, const TrainOptions& options) {
  if (options.steps < 1 || options.batch < 1 || options.accumulate < 1 || options.context < 1)
    bad_input("[train] steps, batch, accumulate and context must be positive, got {}, {}, {}, {}", options.steps,
              options.batch, options.accumulate, options.context);
  constexpr int64_t kMost = int64_t{1} << 31;  // rows of a step; their indices are 32-bit
  if (options.batch > kMost / options.context || options.accumulate > kMost / (options.batch * options.context))
    bad_input("[train] batch, accumulate and context, got {}, {}, {}, expected at most 2^31 tokens a step",
              options.batch, options.accumulate, options.context);
  return Run(device, config, corpus, options).go();
}

}  // namespace mfa
