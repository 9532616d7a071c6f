// mfa export
#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "command.h"
#include "model/chat_files.h"
#include "model/config_json.h"
#include "model/fold.h"
#include "model/gguf_export.h"
#include "model/gguf_tokenizer.h"
#include "model/lora_folder.h"
#include "model/model_folder.h"

namespace mfa {
namespace {

// The name of --type for what a file mostly holds. Blocks that we only read become q8_0, which loses nothing that they
// have.
std::string type_for(const WeightFile& weights) {
  std::string type = main_type(weights);
  std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) { return std::tolower(c); });
  if (type == "f64") return "f32";
  const bool written = type == "f32" || type == "f16" || type == "bf16" || type == "q8_0" || type == "q4_0";
  if (!written) note(fmt::format("[export] weights stored as {} become q8_0; --type chooses another", type));
  return written ? type : "q8_0";
}

class ExportCommand : public Command {
 public:
  void add_flags() override {
    app->add_option("source", source_, "Model folder, .safetensors file or GGUF file")->required()->type_name("SRC");
    app->add_option("destination", destination_, "Folder (hf) or file (gguf) to write")->required()->type_name("DST");
    app->add_option("--format", format_,
                    "hf: a folder that transformers and other engines open; gguf: a file for llama.cpp")
        ->capture_default_str();
    app->add_option("--lora", adapter_, "Merge this adapter into the weights first")->type_name("ADAPTER");
    app->add_option("--type", type_,
                    "Type of the matrices: f32, f16 or bf16, in GGUF also q8_0 or q4_0 (default: as stored; hf: f32)");
  }

  void run() override {
    if (format_ != "hf" && format_ != "gguf")
      bad_input("[export] unknown format, got {}, expected hf or gguf", format_);
    check_destination();
    const std::unique_ptr<Device> device = make_cpu_device();
    const ModelConfig config = load_config(source_);
    const std::unique_ptr<WeightFile> weights = open_weights(source_);
    if (type_.empty()) type_ = format_ == "hf" ? "f32" : type_for(*weights);
    parse_export_type(type_);
    if (format_ == "hf" && type_.starts_with("q")) bad_input("[export] a folder holds f32, f16 or bf16, got {}", type_);
    weights->check(config);
    ParameterStore store(*device, config);
    load_parameters(*weights, config, store);
    if (!adapter_.empty()) merge(load_adapter(*device, config, adapter_, has_interleaved_rows(source_)), store);
    if (layout_of(config) == Layout::mfa_cpp) {
      const FoldedModel folded = fold(config, store);
      if (layout_of(folded.config) == Layout::mfa_cpp)
        bad_input(
            "[export] {} computes something that no published architecture does (position, norm or window), even "
            "folded",
            source_);
      ParameterStore folded_store(*device, folded.config);
      for (const ParameterSpec& spec : folded_store.table()) folded_store.upload(spec, folded.values.at(spec.name));
      write(folded.config, folded_store, true);
    } else {
      write(config, store, false);
    }
  }

 private:
  void check_destination() const {
    if (!path_exists(destination_)) return;
    if (format_ == "gguf") bad_input("[export] {} exists already, expected a new file", destination_);
    if (!is_folder(destination_) || !fs::is_empty(destination_))
      bad_input("[export] {} is not an empty folder, expected a new one", destination_);
  }

  void write(const ModelConfig& config, const ParameterStore& store, bool folded) {
    if (format_ == "gguf")
      write_gguf(config, store, folded);
    else
      write_folder(config, store, folded);
  }

  void write_folder(const ModelConfig& config, const ParameterStore& store, bool folded) {
    const std::optional<Tokenizer> tokenizer =
        has_tokenizer(source_) ? std::optional(load_tokenizer(source_)) : std::nullopt;
    const DType type = type_ == "f32" ? DType::f32 : type_ == "f16" ? DType::f16 : DType::bf16;
    save_model(destination_, config, store, tokenizer, type, load_chat_template(source_));
    report(architecture_of(layout_of(config)), static_cast<int64_t>(store.table().size()),
           fs::file_size(fs::path(destination_) / "model.safetensors"), folded);
  }

  void write_gguf(const ModelConfig& config, const ParameterStore& store, bool folded) {
    GgufWriter writer;
    writer.add_string("general.name", fs::path(source_).stem().string());
    if (has_tokenizer(source_))
      add_vocabulary(writer, load_tokenizer(source_).to_gguf(), config.vocab);
    else
      add_no_vocabulary(writer);
    if (const std::optional<std::string> text = load_chat_template(source_)) add_chat_template(writer, *text);
    const GgufExported done = export_gguf(destination_, config, parse_export_type(type_), std::move(writer),
                                          [&](const ParameterSpec& spec, std::span<float> dst) {
                                            const std::vector<float> values = store.download(spec);
                                            std::copy(values.begin(), values.end(), dst.begin());
                                          });
    report(gguf_name_of(done.architecture), done.tensors, done.bytes, folded);
  }

  void report(std::string_view architecture, int64_t tensors, uint64_t bytes, bool folded) {
    finish({{"out", destination_},
            {"tensors", tensors},
            {"bytes", bytes},
            {"architecture", architecture},
            {"type", type_},
            {"folded", folded}},
           fmt::format("{}: {}{}, {} tensors, {}, {}\n", destination_, architecture, folded ? " (folded)" : "", tensors,
                       type_, human_bytes(bytes)));
  }

  std::string source_, destination_, format_ = "hf", type_, adapter_;
};

}  // namespace

std::unique_ptr<Command> make_export_command() { return std::make_unique<ExportCommand>(); }

}  // namespace mfa
