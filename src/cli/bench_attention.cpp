#include "bench_attention.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/plot_svg.h"
#include "base/progress.h"
#include "base/text_table.h"
#include "bench_row.h"
#include "runtime/model_session.h"

namespace mfa {
namespace {

BenchPhase parse_phase(const std::string& phase) {
  if (phase == "decode") return BenchPhase::decode;
  if (phase == "prefill") return BenchPhase::prefill;
  if (phase == "train") return BenchPhase::train;
  bad_input("[bench] unknown phase, got {}, expected decode, prefill or train", phase);
}

std::string roofline(std::vector<BenchRow> rows, const MachineLimits& machine) {
  std::vector<PlotSeries> series(2);
  series[0].name = "roofline";
  for (double intensity = 0.25; intensity <= 4096; intensity *= 1.25)
    series[0].points.push_back({intensity, std::min(machine.native_gflop_per_s(), machine.read_gb_per_s * intensity)});
  series[1].name = "measured";
  series[1].color = 1;
  std::sort(rows.begin(), rows.end(),
            [](const BenchRow& a, const BenchRow& b) { return a.intensity() < b.intensity(); });
  for (const BenchRow& m : rows) series[1].points.push_back({m.intensity(), m.gflops()});
  return line_chart(series, {.title = "Attention under the roofline: " + machine.cpu,
                             .x_label = "FLOP per byte of K and V",
                             .y_label = "GFLOP/s",
                             .log_x = true,
                             .log_y = true});
}

}  // namespace

void BenchAttention::add_to(CLI::App& app) {
  const auto sizes = [&](const char* flag, auto& values, const char* help) {
    return app.add_option(flag, values, help)->check(CLI::Range(int64_t{1}, int64_t{1} << 24))->capture_default_str();
  };
  sizes("--heads", heads_, "Query heads; several: N,N,…")->delimiter(',');
  sizes("--kv-heads", shape_.kv_heads, "Key/value heads");
  sizes("--head-dim", shape_.head_dim, "Dims of a head");
  sizes("--context", contexts_, "Cached tokens (decode), or tokens of the sequence; several: N,N,…")->delimiter(',');
  app.add_option("--kv", kv_, "Type of the cache: bf16, f32 or int8; several: T,T,…")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--attention", attention_, "mfa, or mfa-kr for key reuse with RoPE on read; several: A,A")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--phase", phase_, "decode, prefill or train")->capture_default_str();
  app.add_flag("--sweep", sweep_, "Also contexts from 1k to 128k and 4 to 64 heads");
  app.add_option("--seconds", seconds_, "Time to measure a row")
      ->check(CLI::Range(0.01, 3600.0))
      ->capture_default_str();
  app.add_option("--plot", plot_, "Write a roofline plot of all rows")->type_name("FILE.svg");
}

std::vector<AttentionBenchShape> BenchAttention::shapes() const {
  AttentionBenchShape shape = shape_;
  shape.phase = parse_phase(phase_);
  const bool decode = shape.phase == BenchPhase::decode;
  if (shape.phase == BenchPhase::train && (kv_.size() > 1 || attention_.size() > 1))
    bad_input(
        "[bench] --phase train has no cache, and mfa-kr computes what mfa does: got several of --kv or --attention");
  std::vector<AttentionBenchShape> all;
  for (const int64_t heads : heads_) {
    if (heads % shape.kv_heads != 0)
      bad_input("[bench] heads must be a multiple of the KV heads, got {} and {}", heads, shape.kv_heads);
    for (const int64_t context : contexts_)
      for (const std::string& kv : kv_)
        for (const std::string& attention : attention_) {
          if (attention != "mfa" && attention != "mfa-kr")
            bad_input("[bench] unknown attention, got {}, expected mfa or mfa-kr", attention);
          shape.heads = heads, shape.context = context;
          shape.kv_type = parse_kv(kv, DType::bf16);
          shape.key_reuse = attention == "mfa-kr";
          all.push_back(shape);
        }
  }
  if (!sweep_) return all;
  for (const int64_t context : {1024, 2048, 4096, 8192, 32768, 131072}) {
    if (context == all[0].context || (!decode && context > 4096)) continue;
    all.push_back(all[0]);
    all.back().context = context;
  }
  for (const int64_t heads : {4, 8, 16, 32, 64}) {
    if (heads == all[0].heads || heads % shape.kv_heads != 0) continue;
    all.push_back(all[0]);
    all.back().heads = heads;
  }
  return all;
}

BenchAttention::Result BenchAttention::run(Device& device, const MachineLimits& machine,
                                           const std::vector<AttentionBenchShape>& shapes) const {
  constexpr int64_t kSteps = 1000;
  Progress progress("bench attention", kSteps);
  const std::vector<AttentionBenchRow> measured = bench_attention(
      device, shapes, seconds_, [&](double done) { progress.update(static_cast<int64_t>(done * kSteps)); });
  std::vector<BenchRow> rows;
  for (const AttentionBenchRow& row : measured)
    rows.push_back({phase_, describe(row.shape), row.seconds, row.flops, row.bytes, row.tokens,
                    machine.native_gflop_per_s(), machine.read_gb_per_s});
  TextTable table;
  table.add_column("shape", TextTable::Align::left);
  for (const char* title : {"ms", "GB/s", "GFLOP/s", "FLOP/B", "roofline", "x T_min"}) table.add_column(title);
  if (rows.size() > 1) table.add_column("x first");
  Result result;
  for (const BenchRow& m : rows) {
    const double relative = m.seconds / rows.front().seconds;
    result.rows.push_back(m.json());
    result.rows.back()["relative_seconds"] = relative;
    std::vector<std::string> cells = {m.shape,
                                      fmt::format("{:.3f}", m.seconds * 1e3),
                                      fmt::format("{:.1f}", m.bytes / m.seconds * 1e-9),
                                      fmt::format("{:.1f}", m.gflops()),
                                      fmt::format("{:.1f}", m.intensity()),
                                      fmt::format("{:.0f} %", 100 * m.gflops() / m.roof()),
                                      fmt::format("{:.2f}", m.roof() / m.gflops())};
    if (rows.size() > 1) cells.push_back(fmt::format("{:.3f}", relative));
    table.add_row(std::move(cells));
  }
  result.text = table.render();
  if (!plot_.empty()) write_file(plot_, roofline(std::move(rows), machine));
  return result;
}

}  // namespace mfa
