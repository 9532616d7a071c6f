// mfa bench train
#include "base/error.h"
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
    train_->add_option("--attention", attention_, "Preset; all but mha matched to its parameters")->capture_default_str();
    train_->add_option("--precision", precision_, "auto, bf16 or f32")->capture_default_str();
    train_->add_option("--steps", steps_, "Steps to time")->check(CLI::Range(1, 1000))->capture_default_str();
    train_->add_option("--threads", globals.threads, "Threads")->check(CLI::Range(1, 4096));
    train_->add_option("--json", globals.json, "Write the result as JSON to FILE, or to standard output with -")->type_name("FILE");
    train_->add_flag("--quiet", globals.quiet, "No progress bars and no notes");
  }

  void run() override {
    const TrainShape shape = train_shape(size_);
    const ModelConfig config = bench_config(attention_, shape);
    const std::unique_ptr<Device> device = open_device(precision_);
    const MachineLimits machine = measure_machine();
    const TrainBenchRow row = bench_train_step(*device, config, shape.batch, shape.context, steps_);
    const bool bf16 = device->precision() == Precision::bf16 && machine.gemm_bf16_gflop_per_s > 0;
    const double peak = bf16 ? machine.gemm_bf16_gflop_per_s : machine.gemm_f32_gflop_per_s;
    const double gflops = row.flops / row.seconds * 1e-9, intensity = row.flops / row.bytes;
    const double roof = std::min(peak, machine.read_gb_per_s * intensity);
    const AttentionSpec& a = config.layers[0].attention;
    finish({{"machine", machine_json(machine)},
            {"rows",
             {{{"work", "train"},
               {"shape", fmt::format("{} {} {}: width {}, {} layers, {} heads x {}, FFN {}, context {}, batch {}, vocabulary {}", size_,
                                     attention_, name_of(device->precision()), shape.width, shape.layers, a.n_heads, a.head_dim,
                                     config.layers[0].ffn, shape.context, shape.batch, shape.vocab)},
               {"parameters", row.parameters},
               {"seconds", row.seconds},
               {"gb_per_s", row.bytes / row.seconds * 1e-9},
               {"gflop_per_s", gflops},
               {"flop_per_byte", intensity},
               {"roofline_share", gflops / roof},
               {"gemm_share", gflops / peak},
               {"activation_bytes", row.activation_bytes},
               {"tokens_per_s", row.tokens_per_s}}}}},
           fmt::format("{} ({}), {} threads: products {:.0f} GFLOP/s {}, reads {:.1f} GB/s\n"
                       "{} {}: {:.2f} M parameters, {:.3f} s a step, {:.0f} tokens/s, {:.0f} GFLOP/s = {:.1f} % of the GEMM peak\n",
                       machine.cpu, machine.cpu_path, machine.threads, peak, name_of(device->precision()), machine.read_gb_per_s, size_,
                       attention_, static_cast<double>(row.parameters) * 1e-6, row.seconds, row.tokens_per_s, gflops, 100 * gflops / peak));
  }

 private:
  CLI::App* train_ = nullptr;
  std::string size_ = "14m", attention_ = "mha", precision_ = "auto";
  int steps_ = 5;
};

}  // namespace

std::unique_ptr<Command> make_bench_command() { return std::make_unique<BenchCommand>(); }

}  // namespace mfa
