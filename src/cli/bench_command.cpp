// mfa bench train | attention | model
#include "base/error.h"
#include "base/file.h"
#include "base/plot_svg.h"
#include "base/progress.h"
#include "base/text_table.h"
#include "bench_model.h"
#include "bench_row.h"
#include "command.h"
#include "kernels/machine.h"
#include "kernels/precision.h"
#include "machine_json.h"
#include "runtime/attention_bench.h"
#include "runtime/model_session.h"
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
    const auto size = [&](const char* flag, int64_t& value, const char* help) {
      layer_->add_option(flag, value, help)->check(CLI::Range(int64_t{1}, int64_t{1} << 24))->capture_default_str();
    };
    size("--heads", shape_.heads, "Query heads");
    size("--kv-heads", shape_.kv_heads, "Key/value heads");
    size("--head-dim", shape_.head_dim, "Dims of a head");
    size("--context", shape_.context, "Cached tokens (decode), or tokens of the sequence");
    layer_->add_option("--kv", kv_, "Type of the cache: bf16, f32 or int8")->capture_default_str();
    layer_->add_option("--attention", reuse_, "mfa, or mfa-kr for key reuse with RoPE on read")->capture_default_str();
    layer_->add_option("--phase", phase_, "decode, prefill or train")->capture_default_str();
    layer_->add_flag("--sweep", sweep_, "Also contexts from 1k to 128k and 4 to 64 heads");
    layer_->add_option("--plot", plot_, "Write a roofline plot of all rows")->type_name("FILE.svg");
    model_ = app->add_subcommand("model", "Decoding with a whole model behind a long cache, random or real weights");
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

  std::vector<AttentionBenchShape> shapes() {
    shape_.kv_type = parse_kv(kv_, DType::bf16);
    if (reuse_ != "mfa" && reuse_ != "mfa-kr")
      bad_input("[bench] unknown attention, got {}, expected mfa or mfa-kr", reuse_);
    shape_.key_reuse = reuse_ == "mfa-kr";
    shape_.phase =
        phase_ == "decode"    ? BenchPhase::decode
        : phase_ == "prefill" ? BenchPhase::prefill
        : phase_ == "train"
            ? BenchPhase::train
            : throw BadInput(fmt::format("[bench] unknown phase, got {}, expected decode, prefill or train", phase_));
    if (shape_.heads % shape_.kv_heads != 0)
      bad_input("[bench] heads must be a multiple of the KV heads, got {} and {}", shape_.heads, shape_.kv_heads);
    std::vector<AttentionBenchShape> all = {shape_};
    if (!sweep_) return all;
    const bool decode = shape_.phase == BenchPhase::decode;
    for (const int64_t context : {1024, 2048, 4096, 8192, 32768, 131072}) {
      if (context == shape_.context || (!decode && context > 4096)) continue;
      all.push_back(shape_);
      all.back().context = context;
    }
    for (const int64_t heads : {4, 8, 16, 32, 64}) {
      if (heads == shape_.heads || heads % shape_.kv_heads != 0) continue;
      all.push_back(shape_);
      all.back().heads = heads;
    }
    return all;
  }

  void run_attention() {
    const std::vector<AttentionBenchShape> all = shapes();
    const std::unique_ptr<Device> device = open_device();
    const MachineLimits machine = measure_machine();
    std::vector<BenchRow> rows;
    Progress progress("bench attention", static_cast<int64_t>(all.size()));
    for (const AttentionBenchShape& shape : all) {
      const AttentionBenchRow row = bench_attention(*device, shape);
      rows.push_back({phase_, describe(shape), row.seconds, row.flops, row.bytes, row.tokens,
                      machine.native_gflop_per_s(), machine.read_gb_per_s});
      progress.update(static_cast<int64_t>(rows.size()));
    }
    TextTable table;
    table.add_column("shape", TextTable::Align::left);
    for (const char* title : {"ms", "GB/s", "GFLOP/s", "FLOP/B", "roofline", "x T_min"}) table.add_column(title);
    nlohmann::ordered_json json = nlohmann::ordered_json::array();
    for (const BenchRow& m : rows) {
      json.push_back(m.json());
      table.add_row({m.shape, fmt::format("{:.3f}", m.seconds * 1e3), fmt::format("{:.1f}", m.bytes / m.seconds * 1e-9),
                     fmt::format("{:.1f}", m.gflops()), fmt::format("{:.1f}", m.intensity()),
                     fmt::format("{:.0f} %", 100 * m.gflops() / m.roof()),
                     fmt::format("{:.2f}", m.roof() / m.gflops())});
    }
    if (!plot_.empty()) write_file(plot_, roofline(rows, machine));
    finish({{"machine", machine_json(machine)}, {"rows", json}}, machine_line(machine) + table.render());
  }

  static std::string roofline(const std::vector<BenchRow>& rows, const MachineLimits& machine) {
    std::vector<PlotSeries> series(2);
    series[0].name = "roofline";
    for (double intensity = 0.25; intensity <= 4096; intensity *= 1.25)
      series[0].points.push_back(
          {intensity, std::min(machine.native_gflop_per_s(), machine.read_gb_per_s * intensity)});
    series[1].name = "measured";
    series[1].color = 1;
    std::vector<BenchRow> sorted = rows;
    std::sort(sorted.begin(), sorted.end(),
              [](const BenchRow& a, const BenchRow& b) { return a.intensity() < b.intensity(); });
    for (const BenchRow& m : sorted) series[1].points.push_back({m.intensity(), m.gflops()});
    return line_chart(series, {.title = "Attention under the roofline: " + machine.cpu,
                               .x_label = "FLOP per byte of K and V",
                               .y_label = "GFLOP/s",
                               .log_x = true,
                               .log_y = true});
  }

  CLI::App *train_ = nullptr, *layer_ = nullptr, *model_ = nullptr;
  BenchModel bench_model_;
  std::string size_ = "14m", attention_ = "mha", precision_ = "auto", kv_ = "bf16", reuse_ = "mfa", phase_ = "decode",
              plot_;
  AttentionBenchShape shape_;
  int steps_ = 5;
  bool sweep_ = false;
};

}  // namespace

std::unique_ptr<Command> make_bench_command() { return std::make_unique<BenchCommand>(); }

}  // namespace mfa
