// mfa perplexity
#include <cmath>
#include <numbers>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "command.h"
#include "eval/divergence.h"
#include "eval/perplexity.h"
#include "inference_flags.h"
#include "model/model_folder.h"

namespace mfa {
namespace {

// A bar that appears with the first window and goes at the end.
class WindowBar {
 public:
  void operator()(int64_t done, int64_t total) {
    if (!bar_) bar_.emplace("perplexity", total);
    bar_->update(done);
  }

 private:
  std::optional<Progress> bar_;
};

// Same ids for the same text, whatever file they were read from.
void check_same_vocabulary(const Tokenizer& a, const Tokenizer& b, std::string_view text, std::span<const int32_t> ids,
                           const std::string& reference) {
  if (a.fingerprint() == b.fingerprint()) return;
  const std::vector<int32_t> others = b.encode(text);
  bool same = a.vocab_size() == b.vocab_size() && std::equal(ids.begin(), ids.end(), others.begin(), others.end());
  for (size_t i = 0; same && i < ids.size(); ++i) same = a.token_bytes(ids[i]) == b.token_bytes(ids[i]);
  if (!same)
    bad_input(
        "[perplexity] {} has another tokenizer, got a vocabulary of {}, expected the same one as the model's ({})",
        reference, b.vocab_size(), a.vocab_size());
}

class PerplexityCommand : public Command {
 public:
  void add_flags() override {
    inference_.add_to(*app);
    app->add_option("file", file_, "Text to score")->required()->type_name("FILE");
    app->add_option("--context", options_.context, "Tokens of a window (0: the model's context)")
        ->check(CLI::Range(0, 1 << 24))
        ->capture_default_str();
    app->add_option("--stride", options_.stride,
                    "Windows start so many tokens apart (0: the context); a token counts once, with all that its "
                    "window holds before it")
        ->check(CLI::Range(0, 1 << 24))
        ->capture_default_str();
    app->add_option("--windows", options_.windows, "The first N windows only (0: all)")
        ->check(CLI::Range(0, 1 << 30))
        ->capture_default_str();
    app->add_option("--score", score_,
                    "all: every token; last-half: the second half of each window, as llama.cpp's perplexity counts")
        ->check(CLI::IsMember({"all", "last-half"}))
        ->capture_default_str();
    app->add_flag("--no-bos", no_bos_,
                  "No BOS at the start of windows, even where the tokenizer puts one before a text");
    app->add_option("--reference", reference_,
                    "A model with the same tokenizer: also print how far the predictions are from its own")
        ->type_name("MODEL");
  }

  void run() override {
    const std::unique_ptr<Device> device = open_device();
    const Tokenizer tokenizer = load_tokenizer(inference_.model);
    const MappedFile text(file_);
    if (text.size() == 0) bad_input("[perplexity] {} is empty, expected text", file_);
    std::vector<int32_t> ids;
    if (!no_bos_ && !tokenizer.prefix().empty()) {
      ids.assign(tokenizer.prefix().begin(), tokenizer.prefix().end());
      options_.bos = ids.front();
    }
    const size_t given = ids.size();
    tokenizer.encode(text.text(), ids);
    if (!reference_.empty())
      check_same_vocabulary(tokenizer, load_tokenizer(reference_), text.text(), std::span(ids).subspan(given),
                            reference_);
    options_.score = score_ == "all" ? Score::all : Score::last_half;
    const int64_t made_for = load_config(inference_.model).context;
    if (options_.context == 0) options_.context = made_for;
    const std::vector<Window> windows = cut_windows(
        static_cast<int64_t>(ids.size()), {options_.context, options_.stride, options_.windows, options_.score});
    for (const Window& w : windows) inference_.session.positions = std::max(inference_.session.positions, w.count);
    if (inference_.session.positions > made_for)
      note(fmt::format("[perplexity] the model was made for {} tokens; longer windows may score poorly", made_for));
    ModelSession session = open_model(*device, inference_.model, inference_.session);
    options_.kv_type = session.kv_type;
    precision_ = name_of(session.precision);
    const int64_t bytes = scored_bytes(tokenizer, text.size(), ids, windows);
    if (reference_.empty()) {
      const PerplexityResult r = perplexity(*device, *session.engine, ids, options_, WindowBar());
      return print(r.nll, r.tokens, r.windows, bytes, {}, "");
    }
    ModelSession other = open_model(*device, reference_, inference_.session);
    print_divergence(divergence(*device, *session.engine, *other.engine, other.kv_type, ids, options_, WindowBar()),
                     bytes);
  }

 private:
  // All but a first token that is given and not scored (BOS has no bytes); else the bytes of the tokens that count.
  int64_t scored_bytes(const Tokenizer& tokenizer, size_t text, std::span<const int32_t> ids,
                       std::span<const Window> windows) const {
    const auto size = [&](int32_t id) { return static_cast<int64_t>(tokenizer.token_bytes(id).size()); };
    if (options_.score == Score::all && options_.windows == 0)
      return static_cast<int64_t>(text) - (options_.bos >= 0 ? 0 : size(ids[0]));
    int64_t bytes = 0;
    for (const Window& w : windows)
      for (int64_t t = w.scored_from; t < w.count; ++t) bytes += size(ids[w.begin + t + 1]);
    return bytes;
  }

  void print(double nll, int64_t tokens, int64_t windows, int64_t bytes, const nlohmann::ordered_json& more,
             const std::string& more_text) {
    const double per_token = nll / static_cast<double>(tokens), perplexity = std::exp(per_token);
    const double bits = nll / std::numbers::ln2 / static_cast<double>(bytes);
    nlohmann::ordered_json result = {{"perplexity", perplexity},
                                     {"nll_per_token", per_token},
                                     {"bits_per_byte", bits},
                                     {"tokens", tokens},
                                     {"bytes", bytes},
                                     {"context", options_.context},
                                     {"stride", options_.stride > 0 ? options_.stride : options_.context},
                                     {"windows", windows},
                                     {"score", score_},
                                     {"precision", precision_}};
    if (!more.is_null()) result.update(more);
    finish(result, fmt::format("perplexity {:.4f}, {:.4f} nats a token, {:.4f} bits a byte ({} tokens in {} windows of "
                               "{})\n{}",
                               perplexity, per_token, bits, tokens, windows, options_.context, more_text));
  }

  void print_divergence(const DivergenceResult& r, int64_t bytes) {
    const double reference = std::exp(r.reference_nll / static_cast<double>(r.tokens));
    print(r.nll, r.tokens, r.windows, bytes,
          {{"reference", reference_},
           {"reference_perplexity", reference},
           {"kl_mean", r.kl_mean},
           {"kl_median", r.kl_median},
           {"kl_90", r.kl_90},
           {"kl_95", r.kl_95},
           {"kl_99", r.kl_99},
           {"kl_max", r.kl_max},
           {"same_top", r.same_top},
           {"probability_difference_mean", r.probability_difference_mean},
           {"probability_difference_rms", r.probability_difference_rms}},
          fmt::format("reference perplexity {:.4f} ({:+.2f} % here)\n"
                      "KL divergence from it, nats a token: mean {:.6f}, median {:.6f}, 90 % {:.6f}, 95 % {:.6f}, "
                      "99 % {:.6f}, most {:.6f}\n"
                      "same likeliest token {:.2f} %; probability of the text's tokens {:+.3f} % on average, {:.3f} % "
                      "rms\n",
                      reference, 100 * (std::exp(r.nll / static_cast<double>(r.tokens)) / reference - 1), r.kl_mean,
                      r.kl_median, r.kl_90, r.kl_95, r.kl_99, r.kl_max, 100 * r.same_top,
                      100 * r.probability_difference_mean, 100 * r.probability_difference_rms));
  }

  InferenceFlags inference_;
  PerplexityOptions options_;
  std::string file_, reference_, score_ = "all", precision_;
  bool no_bos_ = false;
};

}  // namespace

std::unique_ptr<Command> make_perplexity_command() { return std::make_unique<PerplexityCommand>(); }

}  // namespace mfa
