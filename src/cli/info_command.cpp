// mfa info
#include <map>
#include <optional>

#include "base/available_memory.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text_table.h"
#include "capacity/hardware.h"
#include "command.h"
#include "kernels/decode_rates.h"
#include "kernels/machine.h"
#include "kernels/precision.h"
#include "machine_json.h"
#include "model/chat_files.h"
#include "model/config_json.h"
#include "model/model_folder.h"
#include "runtime/kv_cache.h"
#include "train/describe_model.h"

namespace mfa {
namespace {

using Document = nlohmann::ordered_json;

std::string shape_of(const std::vector<int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

class InfoCommand : public Command {
 public:
  void add_flags() override {
    app->add_option("model", model_, "Model folder, GGUF file, or a .safetensors file beside its config.json")
        ->type_name("MODEL");
    app->add_flag("--tensors", tensors_, "Name, type and shape of every tensor in the files");
    app->add_flag("--cpu", cpu_, "What this machine gives: instruction path, native precision, measured limits");
    app->add_flag("--measure", measure_,
                  "With --cpu: also measure every operation of decoding (half a minute) and write a row of hardware "
                  "for capacity and plan, in the place of the one of that name");
    app->add_option("--name", name_, "Name of the row")->capture_default_str();
    app->add_option("--usd-per-hour", usd_per_hour_, "What this machine costs, for the row")
        ->check(CLI::Range(0.0, 1e9));
    app->add_option("--out", out_,
                    "Table to write the row to (default: $XDG_CONFIG_HOME/mfa/hardware.json or "
                    "~/.config/mfa/hardware.json)")
        ->type_name("FILE");
  }

  void run() override {
    if (measure_ && !cpu_) bad_input("[info] --measure, got it without --cpu, expected both");
    if (cpu_) return machine();
    if (model_.empty()) bad_input("[info] nothing to look at, expected a MODEL or --cpu");
    const ModelConfig config = load_config(model_);
    const std::unique_ptr<WeightFile> weights = open_weights(model_);
    weights->check(config);
    const std::string_view architecture = architecture_of(layout_of(config));
    text_ = fmt::format("{}{}\n", architecture, is_gguf_model(model_) ? " in a GGUF file" : "");
    for (const auto& [name, value] : describe_model(config)) line(name, value);
    line("parameters", grouped(parameter_count(config)));
    result_ = {{"architecture", architecture},
               {"parameters", parameter_count(config)},
               {"active_parameters", parameter_count(config)},
               {"layers", layers(config)}};
    add_weights(*weights);
    add_cache(config);
    add_tokenizer();
    add_chat_template();
    if (tensors_) add_tensors(*weights);
    finish(result_, text_);
  }

 private:
  void line(std::string_view name, const std::string& value) { text_ += fmt::format("  {:<14} {}\n", name, value); }

  static Document layers(const ModelConfig& config) {
    Document list = Document::array();
    for (const LayerSpec& layer : config.layers)
      list.push_back({{"attention", layer.attention.preset},
                      {"description", describe_attention(layer.attention)},
                      {"ffn", layer.ffn},
                      {"window", layer.window}});
    return list;
  }

  void add_weights(const WeightFile& weights) {
    struct Kind {
      int64_t tensors = 0, numbers = 0, bytes = 0;
    };
    std::map<std::string, Kind> kinds;
    int64_t bytes = 0;
    for (const WeightFile::Entry& entry : weights.entries()) {
      Kind& kind = kinds[entry.type];
      kind.tensors += 1;
      kind.numbers += entry.numbers;
      kind.bytes += entry.bytes;
      bytes += entry.bytes;
    }
    Document types = Document::object();
    line("weights", human_bytes(static_cast<uint64_t>(bytes)));
    for (const auto& [type, kind] : kinds) {
      types[type] = kind.numbers;
      line("", fmt::format("{} in {} tensor{}, {} numbers, {}", type, kind.tensors, kind.tensors == 1 ? "" : "s",
                           grouped(kind.numbers), human_bytes(static_cast<uint64_t>(kind.bytes))));
    }
    result_["weight_types"] = types;
    result_["weight_bytes"] = bytes;
  }

  void add_cache(const ModelConfig& config) {
    const auto bytes = [&](DType type) { return kv_bytes_per_token(config, type); };
    line("KV cache",
         fmt::format("{} bytes a token (bf16), {} f32, {} int8; {} for {} tokens in bf16", grouped(bytes(DType::bf16)),
                     grouped(bytes(DType::f32)), grouped(bytes(DType::i8)),
                     human_bytes(static_cast<uint64_t>(bytes(DType::bf16) * config.context)), grouped(config.context)));
    result_["kv_bytes_per_token"] = bytes(DType::bf16);
    result_["kv_bytes_per_token_f32"] = bytes(DType::f32);
    result_["kv_bytes_per_token_int8"] = bytes(DType::i8);
  }

  void add_tokenizer() {
    result_["tokenizer"] = nullptr;
    if (!has_tokenizer(model_)) return line("tokenizer", "none");
    const Tokenizer tokenizer = load_tokenizer(model_);
    const std::string from = is_gguf_model(model_) ? "GGUF" : "tokenizer.json";
    const std::string kind = tokenizer.description().byte_level ? "byte-level BPE" : "SentencePiece BPE";
    const auto token = [&](int32_t id) {
      return id < 0 ? std::string("none") : fmt::format("{} {}", id, tokenizer.token_bytes(id));
    };
    line("tokenizer",
         fmt::format("{} ({}), {} tokens, BOS {}{}, EOS {}", kind, from, grouped(tokenizer.vocab_size()),
                     token(tokenizer.bos()), tokenizer.prefix().empty() ? " (not added)" : "", token(tokenizer.eos())));
    result_["tokenizer"] = from;
    result_["tokenizer_kind"] = kind;
    result_["tokenizer_tokens"] = tokenizer.vocab_size();
    result_["bos"] = tokenizer.bos();
    result_["eos"] = tokenizer.eos();
    result_["adds_bos"] = !tokenizer.prefix().empty();
  }

  void add_chat_template() {
    const std::optional<std::string> source = load_chat_template(model_);
    line("chat template", source ? fmt::format("{} characters", source->size()) : "none");
    result_["chat_template"] = source ? Document(*source) : Document(nullptr);
  }

  void add_tensors(const WeightFile& weights) {
    TextTable table;
    table.add_column("tensor", TextTable::Align::left);
    table.add_column("type", TextTable::Align::left);
    table.add_column("shape");
    table.add_column("bytes");
    Document list = Document::array();
    for (const WeightFile::Entry& entry : weights.entries()) {
      table.add_row({entry.name, entry.type, shape_of(entry.shape), grouped(entry.bytes)});
      list.push_back({{"name", entry.name}, {"type", entry.type}, {"shape", entry.shape}, {"bytes", entry.bytes}});
    }
    text_ += "\n" + table.render();
    result_["tensors"] = list;
  }

  void machine() {
    // Asked first: half a minute of measuring should not end in a wrong name.
    const fs::path file = out_.empty() ? user_hardware_file() : fs::path(out_);
    if (measure_ && file.empty())
      bad_input("[info] no place for the row, got neither XDG_CONFIG_HOME nor HOME, expected --out FILE");
    if (name_.empty() || name_.find_first_of(", ") != std::string::npos)
      bad_input("[info] name of the row, got '{}', expected a word without commas and spaces", name_);
    if (measure_ && path_exists(file)) load_hardware(file);
    const MachineLimits m = measure_machine();
    Document result = {{"machine", machine_json(m)}};
    std::string text = fmt::format(
        "{}\n  path {}, native precision {}, {} threads\n  reads {:.1f} GB/s, products {:.0f} GFLOP/s "
        "f32, {:.0f} bf16, {:.0f} GOP/s int8\n",
        m.cpu, m.cpu_path, name_of(m.native_precision), m.threads, m.read_gb_per_s, m.gemm_f32_gflop_per_s,
        m.gemm_bf16_gflop_per_s, m.gemm_int8_gop_per_s);
    if (measure_) {
      const Hardware row = measured_row(m);
      save_hardware(file, row);
      result["hardware"] = hardware_to_json({&row, 1})["hardware"][0];
      result["out"] = file.string();
      text +=
          fmt::format("  written as {} to {}: mfa capacity MODEL --hardware {}\n", row.name, file.string(), row.name);
    }
    finish(result, text);
  }

  Hardware measured_row(const MachineLimits& m) {
    Hardware row;
    row.name = name_;
    row.source = fmt::format("measured by mfa info --cpu --measure: {} ({}), {} threads", m.cpu, m.cpu_path, m.threads);
    row.usd_per_hour = usd_per_hour_;
    row.bytes_per_s = m.read_gb_per_s * 1e9;
    row.flops_f32 = m.gemm_f32_gflop_per_s * 1e9;
    row.flops_bf16 = m.gemm_bf16_gflop_per_s * 1e9;
    row.flops_8bit = m.gemm_int8_gop_per_s * 1e9;
    row.memory_bytes = static_cast<double>(total_memory());
    row.threads = m.threads;
    row.decode = measure_decode_rates(*open_device());
    return row;
  }

  std::string model_, text_;
  Document result_;
  bool cpu_ = false, tensors_ = false, measure_ = false;
  std::string name_ = "this-cpu", out_;
  double usd_per_hour_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_info_command() { return std::make_unique<InfoCommand>(); }

}  // namespace mfa
