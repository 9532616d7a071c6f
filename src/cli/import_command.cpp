// mfa import
#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "command.h"
#include "formats/json.h"
#include "model/config_json.h"
#include "model/llama2c.h"
#include "model/model_folder.h"

namespace mfa {
namespace {

class ImportCommand : public Command {
 public:
  void add_flags() override {
    app->add_option("source", source_, "llama2.c model (.bin, version 0)")->required()->type_name("SRC");
    app->add_option("destination", destination_, "Folder to write")->required()->type_name("DST");
    app->add_option("--tokenizer", tokenizer_, "llama2.c tokenizer of that model (tokenizer.bin, tok512.bin)")
        ->type_name("FILE");
  }

  void run() override {
    if (path_exists(destination_) && (!is_folder(destination_) || !fs::is_empty(destination_)))
      bad_input("[import] {} is not an empty folder, expected a new one", destination_);
    const Llama2cWeights weights(source_);
    const ModelConfig& config = weights.config();
    const std::optional<Tokenizer> tokenizer = open_tokenizer(config);
    const std::unique_ptr<Device> device = make_cpu_device();
    ParameterStore store(*device, config);
    load_parameters(weights, config, store);
    save_model(destination_, config, store, tokenizer);
    write_end_tokens(config);
    const uintmax_t bytes = fs::file_size(fs::path(destination_) / "model.safetensors");
    finish({{"out", destination_}, {"tensors", store.table().size()}, {"bytes", bytes}},
           fmt::format("{}: {}, {} tensors, {}\n", destination_, architecture_of(layout_of(config)),
                       store.table().size(), human_bytes(bytes)));
  }

 private:
  std::optional<Tokenizer> open_tokenizer(const ModelConfig& config) const {
    if (tokenizer_.empty()) {
      note("[import] no --tokenizer: the folder will take and give token ids only");
      return std::nullopt;
    }
    const MappedFile file(tokenizer_);
    Tokenizer tokenizer = Tokenizer::from_llama2c(file.bytes(), tokenizer_);
    if (tokenizer.vocab_size() != config.vocab)
      bad_input("[import] tokens of {}, got {}, expected the model's {}", tokenizer_, tokenizer.vocab_size(),
                config.vocab);
    return tokenizer;
  }

  // These models were trained on texts that each begin with BOS, and mark an end by the next one's: run.c stops there.
  void write_end_tokens(const ModelConfig& config) const {
    const Json generation = {
        {"_from_model_config", true}, {"bos_token_id", config.bos}, {"eos_token_id", {config.bos, config.eos}}};
    write_file(fs::path(destination_) / "generation_config.json", generation.dump(2) + "\n");
  }

  std::string source_, destination_, tokenizer_;
};

}  // namespace

std::unique_ptr<Command> make_import_command() { return std::make_unique<ImportCommand>(); }

}  // namespace mfa
