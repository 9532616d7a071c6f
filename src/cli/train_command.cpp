// mfa train
#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "capacity/capacity.h"
#include "command.h"
#include "formats/json.h"
#include "kernels/precision.h"
#include "model/config_json.h"
#include "model/model_folder.h"
#include "model_flags.h"
#include "runtime/kv_cache.h"
#include "train/chat_corpus.h"
#include "train/chat_format.h"
#include "train_flags.h"

namespace mfa {
namespace {

constexpr int64_t kFineTuningWindow = 1024;  // tokens, unless --context says otherwise

class TrainCommand : public Command {
 public:
  void add_flags() override {
    app->add_option("--attention", attention_, "mha, mqa, gqa, mla, mfa, mfa-kr or fpba")
        ->capture_default_str()
        ->group("Model");
    CLI::Option* config = app->add_option("--config", config_file_, "A whole spec: a config.json")->group("Model");
    CLI::Option* init = app->add_option("--init", init_from_, "Start from this model's weights, spec and tokenizer")
                            ->type_name("MODEL")
                            ->group("Model");
    config->excludes(init);
    add_fine_tuning_flags(init);
    model_.add_to(*app);
    // A whole spec says what these say; of the shape, only the window of training and the tokenizer's size remain free.
    for (CLI::Option* shape : app->get_options([](const CLI::Option* o) { return o->get_group() == "Model"; }))
      if (shape != config && shape != init && !shape->check_lname("context") && !shape->check_lname("vocab"))
        shape->excludes(config)->excludes(init);
    train_.add_to(*app);
    app->add_option("--seed", train_.options.seed, "Of the weights and the data order")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str()
        ->group("Training");
    app->add_option("--checkpoint-every", train_.options.checkpoint_every,
                    "Steps between checkpoints (0: best and last only)")
        ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
        ->capture_default_str()
        ->group("Output");
    app->add_option("--dump-batches", train_.options.dump_batches,
                    "Write the tokens, targets and document starts of each batch, for checks against other programs")
        ->type_name("FILE")
        ->group("Output");
    app->add_flag("--resume", train_.options.resume, "Go on from the last checkpoint in --out, bit for bit")
        ->group("Output");
  }

  void run() override {
    const std::unique_ptr<Device> device = open_device(train_.precision);
    if (lora_.rank > 0 && app->count("--lora-alpha") == 0) lora_.alpha = 2 * static_cast<double>(lora_.rank);
    if (!init_from_.empty()) {
      train_.use_fine_tuning_defaults(*app, lora_.rank > 0);
      if (train_.tokenizer.empty()) {
        train_.tokenizer = tokenizer_of_init();
        train_.options.companions = init_from_;
      }
    }
    const PresetOptions shape = model_.options();
    if (app->count("--config") > 0) whole_spec_ = read_spec();
    const bool own_vocab = app->count("--config") > 0 && app->count("--vocab") == 0;
    const Corpus corpus =
        chat_ ? chat_corpus(shape) : prepare_corpus(train_.corpus_options(own_vocab ? whole_spec_.vocab : shape.vocab));
    ModelConfig config = make_config(shape, corpus);
    TrainOptions options = train_.train_options(window_of(config, shape));
    options.init.seed = options.seed;
    options.init_from = init_from_;
    options.lora = lora_;
    stop_on_interrupt();
    note(fmt::format("{}: {} parameters, {} KV bytes a token (bf16), {} steps of {} tokens, {}",
                     config.layers[0].attention.preset, parameter_count(config),
                     kv_bytes_per_token(config, DType::bf16), options.steps,
                     options.batch * options.accumulate * options.context, name_of(device->precision())));
    const TrainResult result = train(*device, config, corpus, options);
    report(config, result);
  }

 private:
  void add_fine_tuning_flags(CLI::Option* init) {
    CLI::Option* chat = app->add_flag("--chat", chat_,
                                      "The data are conversations, one a line: {\"messages\": [{\"role\": …, "
                                      "\"content\": …}, …]}; the assistant's turns are learned")
                            ->needs(init)
                            ->group("Fine-tuning");
    app->add_option("--chat-template", chat_template_, "A Jinja file to render them with, instead of the model's own")
        ->needs(chat)
        ->type_name("FILE")
        ->group("Fine-tuning");
    app->add_option("--lora", lora_.rank, "Train low-rank adapters of this rank; the model itself stays frozen")
        ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
        ->needs(init)
        ->group("Fine-tuning");
    CLI::Option* rank = app->get_option("--lora");
    app->add_option("--lora-alpha", lora_.alpha, "Adapters count alpha / rank times (default: twice the rank)")
        ->needs(rank)
        ->group("Fine-tuning");
    app->add_option("--lora-targets", lora_.targets, "Modules that get one, e.g. q_proj,v_proj (default: all linear)")
        ->delimiter(',')
        ->needs(rank)
        ->group("Fine-tuning");
  }

  // Rows are packed for the window, which therefore has to be known before.
  Corpus chat_corpus(const PresetOptions& shape) const {
    if (train_.tokenizer != tokenizer_of_init()) bad_input("[train] --chat takes the model's own tokenizer");
    ChatCorpusOptions options;
    options.data.assign(train_.data.begin(), train_.data.end());
    options.held_out = train_.held_out;
    options.context = window_of(load_config(init_from_), shape);
    options.cache = train_.cache;
    return prepare_chat_corpus(options, load_tokenizer(init_from_), load_chat_format(init_from_, chat_template_));
  }

  std::string tokenizer_of_init() const {
    return is_gguf_model(init_from_) ? init_from_ : folder_of(init_from_).string();
  }

  ModelConfig read_spec() const {
    const Json json = parse_json(read_file(config_file_), config_file_);
    if (!json.is_object()) bad_input("[config] {}, expected an object", config_file_);
    return json.contains("model_type") ? config_from_json(json, config_file_) : spec_from_json(json, config_file_);
  }

  ModelConfig make_config(const PresetOptions& shape, const Corpus& corpus) const {
    ModelConfig config;
    if (!init_from_.empty()) {
      config = load_config(init_from_);
    } else if (!config_file_.empty()) {
      config = whole_spec_;
    } else {
      PresetOptions sized = shape;
      sized.vocab = corpus.tokenizer.vocab_size();
      config = make_preset(attention_, sized);
    }
    if (config.vocab < corpus.tokenizer.vocab_size())
      bad_input("[train] the tokenizer has more tokens than the model, got {}, expected at most {}",
                corpus.tokenizer.vocab_size(), config.vocab);
    if (init_from_.empty()) config.eos = corpus.tokenizer.eos();
    return config;
  }

  // Tokens of a training window. What a published model was made for is often more than a training step can hold.
  int64_t window_of(const ModelConfig& config, const PresetOptions& shape) const {
    if (app->count("--context") > 0) {
      if (!init_from_.empty() && shape.context > config.context)
        bad_input("[train] --context is beyond what {} was made for, got {}, expected at most {}", init_from_,
                  shape.context, config.context);
      return shape.context;
    }
    if (!init_from_.empty()) return std::min(config.context, kFineTuningWindow);
    return app->count("--config") > 0 ? config.context : shape.context;
  }

  void report(const ModelConfig& config, const TrainResult& r) {
    std::string text;
    if (r.already_done)
      text = fmt::format("{} is finished: {} steps, validation loss {:.4f}. Nothing was changed.\n", train_.out,
                         r.steps, r.val_loss);
    else if (r.interrupted)
      text = fmt::format("Stopped at step {}, checkpoint written. The same command with --resume goes on.\n", r.steps);
    else
      text = fmt::format(
          "{}: {} steps, {} tokens, training loss {:.4f}, validation loss {:.4f} ({:.3f} bits a byte), {:.0f} tokens/s "
          "({:.0f} % of the GEMM peak)\n",
          train_.out, r.steps, r.tokens, r.train_loss, r.val_loss, r.val_bits_per_byte, r.tokens_per_s,
          100 * r.gemm_share);
    finish({{"attention", config.layers[0].attention.preset},
            {"parameters", parameter_count(config)},
            {"steps", r.steps},
            {"tokens", r.tokens},
            {"train_loss", r.train_loss},
            {"val_loss", r.val_loss},
            {"val_loss_before", r.val_loss_before},
            {"val_bits_per_byte", r.val_bits_per_byte},
            {"tokens_per_s", r.tokens_per_s},
            {"gemm_share", r.gemm_share},
            {"seconds", r.seconds},
            {"interrupted", r.interrupted}},
           text);
  }

  ModelFlags model_;
  TrainFlags train_;
  ModelConfig whole_spec_;
  LoraSpec lora_;
  bool chat_ = false;
  std::string chat_template_;
  std::string attention_ = "mfa", config_file_, init_from_;
};

}  // namespace

std::unique_ptr<Command> make_train_command() { return std::make_unique<TrainCommand>(); }

}  // namespace mfa
