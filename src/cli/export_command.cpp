// mfa export
#include "base/error.h"
#include "base/file.h"
#include "command.h"
#include "model/config_json.h"
#include "model/fold.h"
#include "model/model_folder.h"

namespace mfa {
namespace {

class ExportCommand : public Command {
 public:
  void add_flags() override {
    app->add_option("source", source_, "Model folder")->required()->type_name("SRC");
    app->add_option("destination", destination_, "Folder to write")->required()->type_name("DST");
    app->add_option("--format", format_, "hf: a folder that transformers and other engines open")
        ->capture_default_str();
  }

  void run() override {
    if (format_ != "hf") bad_input("[export] unknown format, got {}, expected hf", format_);
    if (path_exists(destination_) && !fs::is_empty(destination_))
      bad_input("[export] {} is not empty, expected a new folder", destination_);
    const std::unique_ptr<Device> device = make_cpu_device();
    const ModelConfig config = load_config(source_);
    ParameterStore store(*device, config);
    load_parameters(*open_weights(source_), config, store);
    const std::optional<Tokenizer> tokenizer =
        has_tokenizer(source_) ? std::optional(load_tokenizer(source_)) : std::nullopt;
    if (layout_of(config) == Layout::mfa_cpp) {
      const FoldedModel folded = fold(config, store);
      if (layout_of(folded.config) == Layout::mfa_cpp)
        bad_input(
            "[export] {} computes something that no published architecture does (position, norm or window), even "
            "folded",
            source_);
      ParameterStore folded_store(*device, folded.config);
      for (const ParameterSpec& spec : folded_store.table()) folded_store.upload(spec, folded.values.at(spec.name));
      write(folded.config, folded_store, tokenizer, true);
    } else {
      write(config, store, tokenizer, false);
    }
  }

 private:
  void write(const ModelConfig& config, const ParameterStore& store, const std::optional<Tokenizer>& tokenizer,
             bool folded) {
    save_model(destination_, config, store, tokenizer);
    const uintmax_t bytes = fs::file_size(fs::path(destination_) / "model.safetensors");
    finish({{"out", destination_},
            {"tensors", store.table().size()},
            {"bytes", bytes},
            {"architecture", architecture_of(layout_of(config))},
            {"folded", folded}},
           fmt::format("{}: {}{}, {} tensors, {}\n", destination_, architecture_of(layout_of(config)),
                       folded ? " (folded)" : "", store.table().size(), human_bytes(bytes)));
  }

  std::string source_, destination_, format_ = "hf";
};

}  // namespace

std::unique_ptr<Command> make_export_command() { return std::make_unique<ExportCommand>(); }

}  // namespace mfa
