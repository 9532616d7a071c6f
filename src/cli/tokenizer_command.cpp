// mfa tokenizer train | encode | decode | render
#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "command.h"
#include "formats/tokenizer.h"
#include "model/model_folder.h"
#include "render_flags.h"
#include "train/corpus.h"

namespace mfa {
namespace {

class TokenizerCommand : public Command {
 public:
  void add_flags() override {
    app->require_subcommand(1);
    train_ = app->add_subcommand("train", "Learn a byte-level BPE from text and write tokenizer.json");
    train_->add_option("--data", data_, "Files and folders of text")->required()->type_name("FILE...");
    train_->add_option("--vocab", vocab_, "Tokens in all: 256 bytes, merges, the end of text")
        ->check(CLI::Range(257, 1 << 24))
        ->capture_default_str();
    train_->add_option("--out", out_, "Folder to write")->required()->type_name("DIR");
    train_->add_option("--cache", cache_, "Folder of token files (default: $XDG_CACHE_HOME/mfa)")->type_name("DIR");
    encode_ = app->add_subcommand("encode", "Token ids of a text");
    encode_->add_option("model", model_, "Model folder, GGUF file or tokenizer.json")->required()->type_name("MODEL");
    encode_->add_option("-p,--prompt", prompt_, "The text")->type_name("TEXT");
    encode_->add_option("--file", file_, "A file that holds the text")->type_name("FILE");
    encode_->add_flag("--add-special", add_special_, "Put around the text what the tokenizer puts there (usually BOS)");
    encode_->add_flag("--as-text", as_text_,
                      "The text of control tokens (<|im_end|>) is ordinary text, as in a person's");
    encode_->add_flag("--by-line", by_line_, "Encode each line by itself");
    decode_ = app->add_subcommand("decode", "The text of token ids");
    decode_->add_option("model", model_, "Model folder, GGUF file or tokenizer.json")->required()->type_name("MODEL");
    decode_->add_option("ids", ids_, "Token ids")->type_name("ID...");
    render_ = app->add_subcommand("render", "The text that a chat template makes of messages, byte for byte");
    render_flags_.add_to(*render_);
    for (CLI::App* sub : {train_, encode_, decode_, render_}) {
      sub->add_option("--threads", globals.threads, "Threads")->check(CLI::Range(1, 4096));
      sub->add_option("--json", globals.json, "Write the result as JSON to FILE, or to standard output with -")
          ->type_name("FILE");
      sub->add_flag("--quiet", globals.quiet, "No progress bars and no notes");
    }
  }

  void run() override {
    if (train_->parsed()) return train_tokenizer();
    if (render_->parsed()) {
      const std::string text = render_flags_.render();
      return finish({{"text", text}}, text);
    }
    const Tokenizer tokenizer = open();
    if (decode_->parsed()) {
      const std::string text = tokenizer.decode(ids_);
      return finish({{"text", text}}, text + "\n");
    }
    encode(tokenizer);
  }

 private:
  Tokenizer open() const {
    if (is_folder(model_)) return load_tokenizer(model_);
    return is_gguf(model_) ? Tokenizer::from_gguf(GgufFile(model_)) : Tokenizer::load(model_);
  }

  void encode(const Tokenizer& tokenizer) {
    MappedFile file;
    if (!file_.empty()) file = MappedFile(file_);
    const std::string_view text = file_.empty() ? std::string_view(prompt_) : file.text();
    std::vector<int32_t> ids;
    const auto began = std::chrono::steady_clock::now();
    if (add_special_) ids.assign(tokenizer.prefix().begin(), tokenizer.prefix().end());
    for (size_t at = 0; at < text.size();) {
      const size_t end = by_line_ ? std::min(text.find('\n', at), text.size() - 1) + 1 : text.size();
      tokenizer.encode(text.substr(at, end - at), ids, !as_text_);
      at = end;
    }
    if (add_special_) ids.insert(ids.end(), tokenizer.suffix().begin(), tokenizer.suffix().end());
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - began;
    finish({{"ids", ids}, {"bytes", text.size()}, {"seconds", seconds.count()}},
           fmt::format("{}\n", fmt::join(ids, " ")));
  }

  void train_tokenizer() {
    CorpusOptions corpus;
    corpus.data.assign(data_.begin(), data_.end());
    corpus.vocab = vocab_;
    corpus.cache = cache_;
    const Tokenizer tokenizer = prepare_corpus(corpus).tokenizer;
    make_folder(out_);
    save_tokenizer(out_, tokenizer);
    finish({{"out", out_}, {"vocab", tokenizer.vocab_size()}},
           fmt::format("{}: {} tokens\n", (fs::path(out_) / "tokenizer.json").string(), tokenizer.vocab_size()));
  }

  CLI::App *train_ = nullptr, *encode_ = nullptr, *decode_ = nullptr, *render_ = nullptr;
  RenderFlags render_flags_;
  std::vector<std::string> data_;
  std::vector<int32_t> ids_;
  std::string out_, cache_, model_, prompt_, file_;
  int64_t vocab_ = 4096;
  bool add_special_ = false, as_text_ = false, by_line_ = false;
};

}  // namespace

std::unique_ptr<Command> make_tokenizer_command() { return std::make_unique<TokenizerCommand>(); }

}  // namespace mfa
