// mfa perplexity
#include <cmath>
#include <numbers>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "command.h"
#include "eval/perplexity.h"
#include "inference_flags.h"
#include "model/model_folder.h"

namespace mfa {
namespace {

class PerplexityCommand : public Command {
 public:
  void add_flags() override {
    inference_.add_to(*app);
    app->add_option("file", file_, "Text to score")->required()->type_name("FILE");
    app->add_option("--context", options_.context, "Tokens of a window (0: the model's context)")
        ->check(CLI::Range(0, 1 << 24))
        ->capture_default_str();
    app->add_option("--stride", options_.stride, "Windows start so many tokens apart (0: the context)")
        ->check(CLI::Range(0, 1 << 24))
        ->capture_default_str();
  }

  void run() override {
    const std::unique_ptr<Device> device = open_device(inference_.session.precision == "bf16" ? "bf16" : "f32");
    const Tokenizer tokenizer = load_tokenizer(inference_.model);
    const MappedFile text(file_);
    if (text.size() == 0) bad_input("[perplexity] {} is empty, expected text", file_);
    const std::vector<int32_t> ids = tokenizer.encode(text.text());
    inference_.session.positions = options_.context;
    ModelSession session = open_model(*device, inference_.model, inference_.session);
    options_.kv_type = session.kv_type;
    std::optional<Progress> bar;
    const PerplexityResult r = perplexity(*device, *session.engine, ids, options_, [&](int64_t done, int64_t total) {
      if (!bar) bar.emplace("perplexity", total);
      bar->update(done);
    });
    bar.reset();
    // The first token is given, not scored: its bytes do not count.
    const int64_t bytes = static_cast<int64_t>(text.size() - tokenizer.token_bytes(ids[0]).size());
    const double bits = r.nll / std::numbers::ln2 / static_cast<double>(bytes), perplexity = std::exp(r.per_token());
    const int64_t context = options_.context > 0 ? options_.context : session.config.context;
    finish({{"perplexity", perplexity},
            {"nll_per_token", r.per_token()},
            {"bits_per_byte", bits},
            {"tokens", r.tokens},
            {"bytes", bytes},
            {"context", context}},
           fmt::format("perplexity {:.4f}, {:.4f} nats a token, {:.4f} bits a byte ({} tokens, context {})\n",
                       perplexity, r.per_token(), bits, r.tokens, context));
  }

 private:
  InferenceFlags inference_;
  PerplexityOptions options_;
  std::string file_;
};

}  // namespace

std::unique_ptr<Command> make_perplexity_command() { return std::make_unique<PerplexityCommand>(); }

}  // namespace mfa
