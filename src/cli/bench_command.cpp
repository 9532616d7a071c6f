// mfa bench train | attention | model
#include "bench_attention.h"
#include "bench_model.h"
#include "bench_row.h"
#include "command.h"
#include "kernels/machine.h"
#include "kernels/precision.h"
#include "machine_json.h"
#include "train/train_bench.h"

namespace mfa {
namespace {

class BenchCommand : public Command {
 public:
  void add_flags() override {
    app->require_subcommand(1);
    train_ = app->add_subcommand("train", "One whole training step: forward, backward, clip, AdamW");
    train_->add_option("--size", size_, "14m or 100m")->capture_default_str();
    train_->add_option("--attention", attention_, "Preset; all but mha matched to its parameters")
        ->capture_default_str();
    train_->add_option("--precision", precision_, "auto, bf16 or f32")->capture_default_str();
    train_->add_option("--steps", steps_, "Steps to time")->check(CLI::Range(1, 1000))->capture_default_str();
    layer_ = app->add_subcommand("attention", "One attention layer: decoding over the cache, a prompt, or training");
    bench_attention_.add_to(*layer_);
    model_ =
        app->add_subcommand("model", "A whole model, random or real weights: decoding behind a long cache, prompts");
    bench_model_.add_to(*model_);
    for (CLI::App* sub : {train_, layer_, model_}) {
      sub->add_option("--threads", globals.threads, "Threads")->check(CLI::Range(1, 4096));
      sub->add_option("--json", globals.json, "Write the result as JSON to FILE, or to standard output with -")
          ->type_name("FILE");
      sub->add_flag("--quiet", globals.quiet, "No progress bars and no notes");
    }
  }

  void run() override {
    if (train_->parsed())
      run_train();
    else if (model_->parsed())
      run_model();
    else
      run_attention();
  }

 private:
  static double peak_of(const MachineLimits& machine, Precision precision) {
    return precision == Precision::bf16 && machine.gemm_bf16_gflop_per_s > 0 ? machine.gemm_bf16_gflop_per_s
                                                                             : machine.gemm_f32_gflop_per_s;
  }

  static std::string machine_line(const MachineLimits& m) {
    return fmt::format(
        "{} ({}), {} threads: reads {:.1f} GB/s, products {:.0f} GFLOP/s f32, {:.0f} bf16, {:.0f} GOP/s int8\n", m.cpu,
        m.cpu_path, m.threads, m.read_gb_per_s, m.gemm_f32_gflop_per_s, m.gemm_bf16_gflop_per_s, m.gemm_int8_gop_per_s);
  }

  void run_train() {
    const TrainShape shape = train_shape(size_);
    const ModelConfig config = bench_config(attention_, shape);
    const std::unique_ptr<Device> device = open_device(precision_);
    const MachineLimits machine = measure_machine();
    const TrainBenchRow row = bench_train_step(*device, config, shape.batch, shape.context, steps_);
    const AttentionSpec& a = config.layers[0].attention;
    const BenchRow m{
        "train",
        fmt::format("{} {} {}: width {}, {} layers, {} heads x {}, FFN {}, context {}, batch {}, vocabulary {}", size_,
                    attention_, name_of(device->precision()), shape.width, shape.layers, a.n_heads, a.head_dim,
                    config.layers[0].ffn, shape.context, shape.batch, shape.vocab),
        row.seconds,
        row.flops,
        row.bytes,
        row.tokens_per_s * row.seconds,
        peak_of(machine, device->precision()),
        machine.read_gb_per_s};
    nlohmann::ordered_json json = m.json();
    json["parameters"] = row.parameters;
    json["activation_bytes"] = row.activation_bytes;
    finish({{"machine", machine_json(machine)}, {"rows", nlohmann::ordered_json::array({json})}},
           machine_line(machine) + fmt::format("{} {}: {:.2f} M parameters, {:.3f} s a step, {:.0f} tokens/s, {:.0f} "
                                               "GFLOP/s = {:.1f} % of the GEMM peak\n",
                                               size_, attention_, static_cast<double>(row.parameters) * 1e-6,
                                               row.seconds, row.tokens_per_s, m.gflops(), 100 * m.gflops() / m.peak));
  }

  void run_model() {
    const std::unique_ptr<Device> device = open_device(bench_model_.precision());
    const MachineLimits machine = measure_machine();
    BenchModel::Result result = bench_model_.run(*device, machine);
    finish({{"machine", machine_json(machine)}, {"rows", std::move(result.rows)}}, machine_line(machine) + result.text);
  }

  void run_attention() {
    const std::vector<AttentionBenchShape> shapes = bench_attention_.shapes();  // errors before the machine is measured
    const std::unique_ptr<Device> device = open_device();
    const MachineLimits machine = measure_machine();
    BenchAttention::Result result = bench_attention_.run(*device, machine, shapes);
    finish({{"machine", machine_json(machine)}, {"rows", std::move(result.rows)}}, machine_line(machine) + result.text);
  }

  CLI::App *train_ = nullptr, *layer_ = nullptr, *model_ = nullptr;
  BenchAttention bench_attention_;
  BenchModel bench_model_;
  std::string size_ = "14m", attention_ = "mha", precision_ = "auto";
  int steps_ = 5;
};

}  // namespace

std::unique_ptr<Command> make_bench_command() { return std::make_unique<BenchCommand>(); }

}  // namespace mfa
