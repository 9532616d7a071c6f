// mfa generate
#include <cstdio>
#include <iostream>
#include <iterator>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "command.h"
#include "formats/npy.h"
#include "inference_flags.h"
#include "interrupt.h"
#include "model/end_tokens.h"
#include "model/model_folder.h"
#include "runtime/generate.h"
#include "sampling_flags.h"
#include "token_printer.h"

namespace mfa {
namespace {

// A prompt file, "-" for standard input.
std::string read_prompt(const std::string& file) {
  if (file != "-") return read_file(file);
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

class GenerateCommand : public Command {
 public:
  void add_flags() override {
    inference_.add_to(*app);
    CLI::Option* text = app->add_option("-p,--prompt", prompt_, "Text to continue")->type_name("TEXT");
    CLI::Option* file = app->add_option("--file", file_, "Text to continue, from a file (-: standard input), as it is")
                            ->type_name("FILE")
                            ->excludes(text);
    app->add_option("--ids", ids_, "Token ids to continue, instead of text; no BOS is added")
        ->delimiter(',')
        ->type_name("A,B,...")
        ->excludes(text)
        ->excludes(file);
    app->add_option("-n,--tokens,--n-predict", new_tokens_,
                    "New tokens at most; -1: until the text ends or the context is full")
        ->check(CLI::Range(int64_t{-1}, int64_t{1} << 30))
        ->capture_default_str();
    app->add_option("--context", context_,
                    "Tokens that prompt and text may have in all, if more than the model was made for")
        ->check(CLI::Range(int64_t{1}, int64_t{1} << 30));
    app->add_flag("--no-bos", no_bos_, "No BOS before the prompt, even where the tokenizer puts one");
    app->add_flag("--special", special_, "Names of special tokens in the prompt stand for those tokens");
    app->add_flag("--no-echo", no_echo_, "Print the new text only, without the prompt");
    sampling_.add_to(*app);
    app->add_option("--logits", logits_file_, "Write the prompt's logits [tokens, vocab] as .npy")->type_name("FILE");
  }

  void run() override {
    const std::unique_ptr<Device> device = open_device();
    const ModelConfig config = load_config(inference_.model);
    const bool has_tokenizer = mfa::has_tokenizer(inference_.model);
    if (!has_tokenizer && ids_.empty())
      bad_input("[generate] {} has no tokenizer (tokenizer.json); give --ids", inference_.model);
    const Tokenizer tokenizer = has_tokenizer ? load_tokenizer(inference_.model) : Tokenizer::plain_bytes();
    const std::vector<int32_t> prompt = prompt_ids(tokenizer, config);
    Sampler sampler = sampling_.make_sampler(tokenizer);
    const int64_t new_tokens = tokens_to_make(static_cast<int64_t>(prompt.size()), config);
    TokenPrinter printer(tokenizer, sampling_.stops, !globals.json_on_stdout() && has_tokenizer,
                         !ids_.empty() || !prompt_.empty());

    inference_.session.positions = static_cast<int64_t>(prompt.size()) + new_tokens;
    ModelSession session = open_model(*device, inference_.model, inference_.session);
    KvCache cache(*device, config, session.kv_type, inference_.session.positions);
    GenerateOptions options{.new_tokens = new_tokens, .keep_prompt_logits = !logits_file_.empty()};
    // A vocabulary may be padded beyond the tokenizer's: such ids stand for nothing.
    options.vocab = has_tokenizer ? std::min(config.vocab, tokenizer.vocab_size()) : config.vocab;
    if (!sampling_.ignore_eos)
      options.ends = load_end_tokens(inference_.model, config, has_tokenizer ? &tokenizer : nullptr);
    options.on_token = [&](int32_t id) {
      const bool end = std::find(options.ends.begin(), options.ends.end(), id) != options.ends.end();
      return end || !has_tokenizer || printer.token(id);
    };
    const InterruptScope ctrl_c;
    options.interrupted = [&] { return ctrl_c.interrupted(); };
    if (!no_echo_) printer.echo(ids_.empty() ? prompt_ : has_tokenizer ? tokenizer.decode(prompt) : "");
    const GenerateResult result = generate(*session.engine, cache, prompt, sampler, options);
    printer.end();
    if (!logits_file_.empty()) write_npy(logits_file_, result.prompt_logits, {result.prompt_tokens, config.vocab});
    report(result, printer, session, cache.bytes(), has_tokenizer);
  }

 private:
  std::vector<int32_t> prompt_ids(const Tokenizer& tokenizer, const ModelConfig& config) {
    if (!ids_.empty()) return ids_;
    if (!file_.empty()) prompt_ = read_prompt(file_);
    std::vector<int32_t> ids;
    if (!no_bos_) ids.assign(tokenizer.prefix().begin(), tokenizer.prefix().end());
    tokenizer.encode(prompt_, ids, special_);
    if (ids.empty()) {  // no prompt: start from the token that begins or separates texts
      const int64_t start = config.bos >= 0 ? config.bos : config.eos;
      if (start < 0) bad_input("[generate] the prompt is empty and the model has no start token; give -p TEXT");
      ids.push_back(static_cast<int32_t>(start));
    }
    return ids;
  }

  // −n, or what is left of the context.
  int64_t tokens_to_make(int64_t prompt, const ModelConfig& config) const {
    const int64_t most = std::max(config.context, context_);
    if (prompt > most)
      bad_input(
          "[generate] the prompt is longer than the model's context, got {} tokens, expected at most {} (or a larger "
          "--context)",
          prompt, most);
    const int64_t new_tokens = new_tokens_ >= 0 ? new_tokens_ : most - prompt;
    if (prompt + new_tokens > config.context)
      note(fmt::format("[generate] the model was made for {} tokens; text beyond them may be poor", config.context));
    return new_tokens;
  }

  void report(const GenerateResult& result, const TokenPrinter& printer, const ModelSession& session,
              size_t kv_allocated, bool has_tokenizer) {
    const char* reason = stop_reason(result, printer);
    note(fmt::format("[generate] prompt {} tokens, {:.1f} tokens/s; {} new tokens, {:.1f} tokens/s ({})",
                     result.prompt_tokens, result.prefill_tokens_per_s, result.ids.size(), result.decode_tokens_per_s,
                     reason));
    finish({{"ids", result.ids},
            {"text", printer.text()},
            {"stop_reason", reason},
            {"prompt_tokens", result.prompt_tokens},
            {"generated_tokens", result.ids.size()},
            {"prefill_tokens_per_s", result.prefill_tokens_per_s},
            {"decode_tokens_per_s", result.decode_tokens_per_s},
            {"precision", name_of(session.precision)},
            {"kv_bytes_per_token", kv_bytes_per_token(session.config, session.kv_type)},
            {"kv_bytes_allocated", kv_allocated}},
           has_tokenizer ? "" : fmt::format("{}\n", fmt::join(result.ids, " ")));
  }

  InferenceFlags inference_;
  SamplingFlags sampling_;
  std::string prompt_, file_, logits_file_;
  std::vector<int32_t> ids_;
  int64_t new_tokens_ = 128, context_ = 0;
  bool special_ = false, no_echo_ = false, no_bos_ = false;
};

}  // namespace

std::unique_ptr<Command> make_generate_command() { return std::make_unique<GenerateCommand>(); }

}  // namespace mfa
