// mfa chat
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "command.h"
#include "formats/chat_template.h"
#include "inference_flags.h"
#include "interrupt.h"
#include "model/chat_files.h"
#include "model/end_tokens.h"
#include "model/model_folder.h"
#include "runtime/cached_sequence.h"
#include "runtime/conversation.h"
#include "sampling_flags.h"
#include "token_printer.h"

namespace mfa {
namespace {

constexpr const char* kChatHelp =
    "/reset   forget the talk, keep the system message\n"
    "/regen   answer the last question again\n"
    "/undo    take back the last question and its answer\n"
    "/help    this list\n"
    "/exit    end (so does the end of the input)\n"
    "A line that ends in \\ goes on in the next one; a first / that is meant as text is written //.\n"
    "Ctrl-C ends an answer.\n";

// A question: lines joined while they end in a backslash. False at the end of the input.
bool read_question(std::string& question, bool prompt) {
  question.clear();
  for (;;) {
    if (prompt) std::fputs(question.empty() ? "> " : ". ", stderr);
    std::string line;
    if (!std::getline(std::cin, line)) return !question.empty();
    if (line.ends_with('\r')) line.pop_back();
    const bool more = line.ends_with('\\');
    if (more) line.back() = '\n';
    question += line;
    if (!more) return true;
  }
}

class ChatCommand : public Command {
 public:
  ChatCommand() {
    // llama.cpp's defaults: an answer is better a little less varied than the model's own distribution.
    sampling_.sampler.temperature = 0.8;
    sampling_.sampler.top_k = 40;
    sampling_.sampler.top_p = 0.95;
    sampling_.sampler.min_p = 0.05;
  }

  void add_flags() override {
    inference_.add_to(*app);
    app->add_option("--system", system_, "A system message before the talk")->type_name("TEXT");
    app->add_option("--template", template_file_, "A chat template in Jinja, in place of the model's own")
        ->type_name("FILE");
    app->add_option("--context", context_, "Tokens that the talk may have (default: the model's, at most 8192)")
        ->check(CLI::Range(int64_t{16}, int64_t{1} << 30));
    app->add_option("-n,--tokens,--n-predict", new_tokens_,
                    "Tokens of one answer at most; -1: until it ends or the context is full")
        ->check(CLI::Range(int64_t{-1}, int64_t{1} << 30))
        ->capture_default_str();
    sampling_.add_to(*app);
  }

  void run() override {
    device_ = open_device();
    const ModelConfig config = load_config(inference_.model);
    const Tokenizer tokenizer = load_tokenizer(inference_.model);
    const ChatPrompt prompt = make_prompt(tokenizer);
    Sampler sampler = sampling_.make_sampler(tokenizer);
    const int64_t positions = context_ > 0 ? context_ : std::min<int64_t>(config.context, 8192);
    if (positions > config.context)
      note(fmt::format("[chat] the model was made for {} tokens; answers beyond them may be poor", config.context));
    inference_.session.positions = positions;
    ModelSession session = open_model(*device_, inference_.model, inference_.session);
    KvCache cache(*device_, config, session.kv_type, positions);
    GenerateOptions options{.vocab = std::min(config.vocab, tokenizer.vocab_size())};
    if (!sampling_.ignore_eos) {
      options.ends = load_end_tokens(inference_.model, config, &tokenizer);
      for (const int32_t id : prompt.end_tokens()) options.ends.push_back(id);
    }
    Talk talk{tokenizer, prompt,  *session.engine,       cache,
              sampler,   options, Conversation(system_), CachedSequence(cache)};
    loop(talk);
    finish({{"turns", turns_},
            {"generated_tokens", generated_},
            {"decode_tokens_per_s", decode_seconds_ > 0 ? static_cast<double>(decoded_) / decode_seconds_ : 0.0},
            {"kv_bytes_per_token", kv_bytes_per_token(config, session.kv_type)},
            {"kv_bytes_allocated", cache.bytes()}},
           "");
  }

 private:
  struct Talk {
    const Tokenizer& tokenizer;
    const ChatPrompt& prompt;
    Engine& engine;
    KvCache& cache;
    Sampler& sampler;
    GenerateOptions options;
    Conversation messages;
    CachedSequence sequence;
  };

  ChatPrompt make_prompt(const Tokenizer& tokenizer) const {
    std::optional<std::string> source;
    if (!template_file_.empty())
      source = read_file(template_file_);
    else
      source = load_chat_template(inference_.model);
    if (!source)
      bad_input("[chat] {} has no chat template; give --template FILE, or continue text with mfa generate",
                inference_.model);
    const auto parsed =
        std::make_shared<const ChatTemplate>(*source, template_file_.empty() ? inference_.model : template_file_);
    const auto [bos, eos] = load_chat_tokens(inference_.model);
    std::vector<std::string> control;
    for (const AddedToken& token : tokenizer.description().added)
      if (is_control(token)) control.push_back(token.content);
    return {tokenizer,
            [parsed, bos = bos, eos = eos](std::span<const ChatMessage> messages, bool open) {
              nlohmann::ordered_json list = nlohmann::ordered_json::array();
              for (const ChatMessage& m : messages) list.push_back({{"role", m.role}, {"content", m.content}});
              return parsed->render(list, nullptr, bos, eos, open);
            },
            std::move(control)};
  }

  void loop(Talk& talk) {
    const bool terminal = isatty(STDIN_FILENO) != 0;
    if (terminal) note("Type a message, or /help.");
    std::string line;
    while (read_question(line, terminal && !globals.quiet)) {
      if (line.empty()) continue;
      if (line.starts_with("//"))
        line.erase(0, 1);
      else if (line.starts_with('/')) {
        if (line == "/exit" || line == "/quit") break;
        if (obey(talk, line)) answer(talk);
        continue;
      }
      talk.messages.ask(line);
      answer(talk);
    }
    if (terminal) std::fputs("\n", stderr);
  }

  // True when the command wants an answer.
  bool obey(Talk& talk, const std::string& line) const {
    if (line == "/help") {
      std::fputs(kChatHelp, stderr);
    } else if (line == "/reset") {
      talk.messages.clear();
      note("[chat] forgotten");
    } else if (line == "/undo") {
      note(talk.messages.take_back_question() ? "[chat] taken back" : "[chat] there is nothing to take back");
    } else if (line == "/regen") {
      if (talk.messages.take_back_answer()) return true;
      note("[chat] there is no answer yet");
    } else {
      warn(fmt::format("[chat] unknown command {}, see /help (text that begins with / is written //)", line));
    }
    return false;
  }

  // The prompt's tokens, after the oldest turns are dropped until an answer has room; empty when the question alone is
  // too long.
  std::vector<int32_t> fitting_prompt(Talk& talk) const {
    const int64_t positions = talk.engine.positions();
    const int64_t wanted = positions / 4, room = new_tokens_ >= 0 ? std::min(new_tokens_, wanted) : wanted;
    std::vector<int32_t> ids = talk.prompt.ids(talk.messages.messages());
    int64_t forgotten = 0;
    while (static_cast<int64_t>(ids.size()) + room > positions && talk.messages.forget_oldest_turn()) {
      ++forgotten;
      ids = talk.prompt.ids(talk.messages.messages());
    }
    if (forgotten > 0)
      note(fmt::format("[chat] the context of {} tokens is full: the oldest {} forgotten", positions,
                       forgotten == 1 ? "turn is" : fmt::format("{} turns are", forgotten)));
    if (static_cast<int64_t>(ids.size()) < positions) return ids;
    warn(fmt::format("[chat] the message is too long, got {} tokens with the system message, expected less than {}",
                     ids.size(), positions));
    return {};
  }

  void answer(Talk& talk) {
    const std::vector<int32_t> ids = fitting_prompt(talk);
    if (ids.empty()) {
      talk.messages.take_back_question();
      return;
    }
    const int64_t left = talk.engine.positions() - static_cast<int64_t>(ids.size());
    GenerateOptions options = talk.options;
    options.new_tokens = new_tokens_ >= 0 ? std::min(new_tokens_, left) : left;
    TokenPrinter printer(talk.tokenizer, sampling_.stops, !globals.json_on_stdout());
    options.on_token = [&](int32_t id) {
      return std::find(options.ends.begin(), options.ends.end(), id) != options.ends.end() || printer.token(id);
    };
    const InterruptScope ctrl_c;
    options.interrupted = [&] { return ctrl_c.interrupted(); };
    const GenerateResult result = talk.sequence.generate(talk.engine, talk.cache, ids, talk.sampler, options);
    printer.end();
    if (result.ids.empty() && result.stopped == StopReason::interrupted) {
      talk.messages.take_back_question();
      return;
    }
    const bool full = result.stopped == StopReason::length && options.new_tokens == left;
    if (full) note("[chat] the context is full: the answer is cut");
    record(talk, result, printer, static_cast<int64_t>(ids.size()) - result.prompt_tokens);
    talk.messages.answer(printer.text());
  }

  void record(const Talk& talk, const GenerateResult& result, const TokenPrinter& printer, int64_t reused) {
    turns_.push_back({{"user", talk.messages.messages().back().content},
                      {"assistant", printer.text()},
                      {"prompt_tokens", result.prompt_tokens},
                      {"reused_tokens", reused},
                      {"generated_tokens", result.ids.size()},
                      {"stop_reason", stop_reason(result, printer)},
                      {"prefill_tokens_per_s", result.prefill_tokens_per_s},
                      {"decode_tokens_per_s", result.decode_tokens_per_s}});
    generated_ += static_cast<int64_t>(result.ids.size());
    decoded_ += std::max<int64_t>(static_cast<int64_t>(result.ids.size()) - 1, 0);
    decode_seconds_ += result.decode_seconds;
  }

  InferenceFlags inference_;
  SamplingFlags sampling_;
  std::unique_ptr<Device> device_;
  std::string system_, template_file_;
  int64_t context_ = 0, new_tokens_ = -1;
  nlohmann::ordered_json turns_ = nlohmann::ordered_json::array();
  int64_t generated_ = 0, decoded_ = 0;
  double decode_seconds_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_chat_command() { return std::make_unique<ChatCommand>(); }

}  // namespace mfa
