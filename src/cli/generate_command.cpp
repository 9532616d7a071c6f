// mfa generate
#include <cstdio>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "command.h"
#include "formats/npy.h"
#include "inference_flags.h"
#include "model/model_folder.h"
#include "runtime/generate.h"
#include "text_stream.h"

namespace mfa {
namespace {

class GenerateCommand : public Command {
 public:
  void add_flags() override {
    inference_.add_to(*app);
    CLI::Option* text = app->add_option("-p,--prompt", prompt_, "Text to continue; special tokens in it are plain text")
                            ->type_name("TEXT");
    CLI::Option* file =
        app->add_option("--file", file_, "Text to continue, from a file")->type_name("FILE")->excludes(text);
    app->add_option("--ids", ids_, "Token ids to continue, instead of text")
        ->delimiter(',')
        ->type_name("A,B,...")
        ->excludes(text)
        ->excludes(file);
    app->add_option("-n,--tokens", new_tokens_, "New tokens")
        ->check(CLI::Range(int64_t{0}, int64_t{1} << 30))
        ->capture_default_str();
    app->add_flag("--greedy", sampler_.greedy, "Always the likeliest token");
    app->add_option("--temperature", sampler_.temperature, "Spread of the choice")->capture_default_str();
    app->add_option("--top-k", sampler_.top_k, "Only the k likeliest (0: all)")->capture_default_str();
    app->add_option("--top-p", sampler_.top_p, "The smallest set whose probability reaches p")->capture_default_str();
    app->add_option("--min-p", sampler_.min_p, "At least this share of the likeliest one's probability")
        ->capture_default_str();
    app->add_option("--seed", sampler_.seed, "Of the random choice")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    app->add_flag("--ignore-eos", ignore_eos_, "Go on after the end-of-text token");
    app->add_option("--logits", logits_file_, "Write the prompt's logits [tokens, vocab] as .npy")->type_name("FILE");
  }

  void run() override {
    const std::unique_ptr<Device> device = open_device(inference_.session.precision == "bf16" ? "bf16" : "f32");
    const ModelConfig config = load_config(inference_.model);
    const bool has_tokenizer = mfa::has_tokenizer(inference_.model);
    if (!has_tokenizer && ids_.empty()) bad_input("[generate] {} has no tokenizer.json; give --ids", inference_.model);
    const Tokenizer tokenizer = has_tokenizer ? load_tokenizer(inference_.model) : Tokenizer::plain_bytes();
    const std::vector<int32_t> prompt = prompt_ids(tokenizer, config);
    const auto length = static_cast<int64_t>(prompt.size());
    if (length > config.context)
      bad_input("[generate] the prompt is longer than the model's context, got {} tokens, expected at most {}", length,
                config.context);
    Sampler sampler(sampler_);
    if (length + new_tokens_ > config.context)
      note(fmt::format("[generate] the model was made for {} tokens; text beyond them may be poor", config.context));
    inference_.session.positions = length + new_tokens_;
    ModelSession session = open_model(*device, inference_.model, inference_.session);
    KvCache cache(*device, config, session.kv_type, static_cast<int64_t>(prompt.size()) + new_tokens_);
    const bool stream = !globals.json_on_stdout() && has_tokenizer;
    TextStream out(tokenizer);
    if (stream) out.print(ids_.empty() ? prompt_ : tokenizer.decode(prompt));
    // A vocabulary may be padded beyond the tokenizer's: such ids stand for nothing.
    const int64_t vocab = has_tokenizer ? std::min(config.vocab, tokenizer.vocab_size()) : config.vocab;
    GenerateOptions options{.new_tokens = new_tokens_,
                            .vocab = vocab,
                            .eos = ignore_eos_ ? -1 : static_cast<int32_t>(config.eos),
                            .keep_prompt_logits = !logits_file_.empty(),
                            .on_token = [&](int32_t id) {
                              if (stream && id != config.eos) out.token(id);
                              return true;
                            }};
    const GenerateResult result = generate(*session.engine, cache, prompt, sampler, options);
    if (stream) out.end();
    if (!logits_file_.empty())
      write_npy(logits_file_, result.prompt_logits, {static_cast<int64_t>(prompt.size()), config.vocab});
    finish({{"ids", result.ids},
            {"text", has_tokenizer ? tokenizer.decode(result.ids) : ""},
            {"prompt_tokens", result.prompt_tokens},
            {"generated_tokens", result.ids.size()},
            {"prefill_tokens_per_s", result.prefill_tokens_per_s},
            {"decode_tokens_per_s", result.decode_tokens_per_s},
            {"kv_bytes_per_token", kv_bytes_per_token(config, session.kv_type)},
            {"kv_bytes_allocated", cache.bytes()}},
           has_tokenizer ? "" : fmt::format("{}\n", fmt::join(result.ids, " ")));
  }

 private:
  std::vector<int32_t> prompt_ids(const Tokenizer& tokenizer, const ModelConfig& config) {
    std::vector<int32_t> ids = ids_;
    if (!file_.empty()) prompt_ = read_file(file_);
    if (ids.empty()) ids = tokenizer.encode(prompt_);
    if (ids.empty()) {  // no prompt: start from the token that begins or separates texts
      const int64_t start = config.bos >= 0 ? config.bos : config.eos;
      if (start < 0) bad_input("[generate] the prompt is empty and the model has no start token; give -p TEXT");
      ids.push_back(static_cast<int32_t>(start));
    }
    return ids;
  }

  InferenceFlags inference_;
  SamplerOptions sampler_;
  std::string prompt_, file_, logits_file_;
  std::vector<int32_t> ids_;
  int64_t new_tokens_ = 128;
  bool ignore_eos_ = false;
};

}  // namespace

std::unique_ptr<Command> make_generate_command() { return std::make_unique<GenerateCommand>(); }

}  // namespace mfa
