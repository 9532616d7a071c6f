// mfa compare
#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "command.h"
#include "kernels/machine.h"
#include "kernels/precision.h"
#include "model_flags.h"
#include "runtime/model_session.h"
#include "train/compare.h"
#include "train_flags.h"

namespace mfa {
namespace {

class CompareCommand : public Command {
 public:
  void add_flags() override {
    app->add_option("--variants", variants_, "Which to train; fpba only when named")
        ->delimiter(',')
        ->capture_default_str()
        ->type_name("A,B,...")
        ->group("Comparison");
    app->add_option("--seed", options_.first_seed, "Of the first run of each variant; the next ones count on")
        ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
        ->capture_default_str()
        ->group("Comparison");
    app->add_option("--seeds", options_.seeds, "Runs of each variant")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str()
        ->group("Comparison");
    app->add_flag("--lr-sweep", options_.lr_sweep,
                  "Choose each variant's learning rate from lr/3, lr, 3 lr in short runs")
        ->group("Comparison");
    app->add_option("--kv", kv_, "KV type that bytes are counted and decode is measured in: bf16, f32 or int8")
        ->capture_default_str()
        ->group("Comparison");
    app->add_option("--decode-context", options_.decode_context, "Tokens in the cache when decode speed is measured")
        ->check(CLI::Range(1, 1 << 24))
        ->capture_default_str()
        ->group("Comparison");
    model_.add_to(*app);
    train_.add_to(*app);
    app->add_option("--checkpoint-every", train_.options.checkpoint_every, "Steps between checkpoints of each run")
        ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
        ->capture_default_str()
        ->group("Output");
    app->add_flag("--resume", resume_, "Accepted for symmetry: a comparison always goes on where it was")
        ->group("Output");
  }

  void run() override {
    const double began = now_seconds();
    const std::unique_ptr<Device> device = open_device(train_.precision);
    const PresetOptions shape = model_.options();
    const Corpus corpus = prepare_corpus(train_.corpus_options(shape.vocab));
    options_.variants = variants_;
    options_.shape = shape;
    options_.shape.vocab = corpus.tokenizer.vocab_size();
    options_.train = train_.train_options(shape.context);
    options_.train.keep_best = false;
    options_.train.keep_last = 1;
    if (options_.train.checkpoint_every == 0)
      options_.train.checkpoint_every = std::max<int64_t>(1, options_.train.steps / 4);
    options_.kv_type = parse_kv(kv_, DType::bf16);
    stop_on_interrupt();
    bool interrupted = false;
    const std::vector<CompareRow> rows = compare(*device, corpus, options_, interrupted);
    Comparison comparison{settings(corpus, *device, now_seconds() - began), rows};
    write_compare_report(train_.out, comparison);
    std::string text =
        compare_table(rows) + fmt::format("\nReport: {}\n", (fs::path(train_.out) / "report.html").string());
    if (interrupted) text += "Stopped before the end: the same command goes on.\n";
    finish({{"rows", compare_json(rows)}, {"interrupted", interrupted}}, text);
  }

 private:
  CompareSettings settings(const Corpus& corpus, const Device& device, double seconds) const {
    CompareSettings s;
    s.data = train_.data;
    s.data_bytes = corpus.bytes;
    s.train_tokens = corpus.train.size();
    s.held_out_tokens = corpus.held_out.size();
    s.tokenizer =
        train_.tokenizer == "bytes" ? "bytes" : fmt::format("byte-level BPE, {} tokens", corpus.tokenizer.vocab_size());
    s.steps = options_.train.steps;
    s.batch = options_.train.batch * options_.train.accumulate;
    s.context = options_.train.context;
    s.lr = options_.train.schedule.peak;
    s.precision = name_of(device.precision());
    s.kv_type = kv_;
    s.machine = cpu_name();
    s.version = MFA_VERSION;
    s.command_line = command_line();
    s.seconds = seconds;
    s.more = {{"decode context", std::to_string(options_.decode_context)},
              {"learning rate", options_.lr_sweep ? "swept for each variant" : "the same for all variants"}};
    return s;
  }

  ModelFlags model_;
  TrainFlags train_;
  CompareOptions options_;
  std::vector<std::string> variants_ = {"mha", "gqa", "mqa", "mla", "mfa", "mfa-kr"};
  std::string kv_ = "bf16";
  bool resume_ = false;
};

}  // namespace

std::unique_ptr<Command> make_compare_command() { return std::make_unique<CompareCommand>(); }

}  // namespace mfa
