// mfa info
#include "base/error.h"
#include "base/file.h"
#include "command.h"
#include "kernels/machine.h"
#include "kernels/precision.h"
#include "machine_json.h"
#include "model/config_json.h"
#include "model/model_folder.h"
#include "runtime/kv_cache.h"
#include "train/describe_model.h"

namespace mfa {
namespace {

class InfoCommand : public Command {
 public:
  void add_flags() override {
    app->add_option("model", model_, "Model folder")->type_name("MODEL");
    app->add_flag("--cpu", cpu_, "What this machine gives: instruction path, native precision, measured limits");
  }

  void run() override {
    if (cpu_) return machine();
    if (model_.empty()) bad_input("[info] nothing to look at, expected a MODEL or --cpu");
    const ModelConfig config = load_config(model_);
    const SafetensorsReader weights(weights_of(model_));
    std::map<std::string, int64_t> types;
    int64_t bytes = 0;
    for (const auto& [name, tensor] : weights.tensors()) {
      types[std::string(name_of(tensor.type))] += tensor.size();
      bytes += static_cast<int64_t>(tensor.bytes.size());
    }
    nlohmann::ordered_json layers = nlohmann::ordered_json::array();
    for (const LayerSpec& layer : config.layers)
      layers.push_back({{"attention", layer.attention.preset},
                        {"description", describe_attention(layer.attention)},
                        {"ffn", layer.ffn},
                        {"window", layer.window}});
    const bool tokenizer = path_exists(folder_of(model_) / "tokenizer.json");
    std::string text = fmt::format("{}\n", architecture_of(layout_of(config)));
    for (const auto& [name, value] : describe_model(config)) text += fmt::format("  {:<14} {}\n", name, value);
    text += fmt::format("  {:<14} {}\n  {:<14} {}\n  {:<14} {} bytes a token (bf16)\n", "parameters",
                        parameter_count(config), "weights", human_bytes(static_cast<uint64_t>(bytes)), "KV cache",
                        kv_bytes_per_token(config, DType::bf16));
    finish({{"architecture", architecture_of(layout_of(config))},
            {"parameters", parameter_count(config)},
            {"active_parameters", parameter_count(config)},
            {"layers", layers},
            {"weight_types", types},
            {"weight_bytes", bytes},
            {"kv_bytes_per_token", kv_bytes_per_token(config, DType::bf16)},
            {"tokenizer", tokenizer ? nlohmann::ordered_json("tokenizer.json") : nlohmann::ordered_json(nullptr)},
            {"chat_template", nullptr}},
           text);
  }

 private:
  void machine() {
    const MachineLimits m = measure_machine();
    finish({{"machine", machine_json(m)}},
           fmt::format("{}\n  path {}, native precision {}, {} threads\n  reads {:.1f} GB/s, products {:.0f} GFLOP/s "
                       "f32, {:.0f} bf16, {:.0f} GOP/s int8\n",
                       m.cpu, m.cpu_path, name_of(m.native_precision), m.threads, m.read_gb_per_s,
                       m.gemm_f32_gflop_per_s, m.gemm_bf16_gflop_per_s, m.gemm_int8_gop_per_s));
  }

  std::string model_;
  bool cpu_ = false;
};

}  // namespace

std::unique_ptr<Command> make_info_command() { return std::make_unique<InfoCommand>(); }

}  // namespace mfa
