#include "bench_model.h"

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/text_table.h"
#include "capacity/capacity.h"
#include "capacity/decode_time.h"
#include "runtime/memory_plan.h"
#include "runtime/model_session.h"
#include "train/train_bench.h"

namespace mfa {

void BenchModel::add_to(CLI::App& app) {
  shape_.shape.width = 768;
  shape_.shape.layers = 12;
  shape_.shape.vocab = 32768;
  app.add_option("model", model_, "Model folder, GGUF or .safetensors file; without it, random weights of a shape")
      ->type_name("MODEL");
  app.add_option("--attention", attention_, "Preset of random weights")->capture_default_str();
  shape_.add_to(app);
  app.remove_option(app.get_option("--context"));  // that of a training window
  CLI::Option* const size = app.add_option(
      "--size", size_, "14m or 100m, the shapes of bench train: presets matched to the parameters of mha");
  for (const char* flag : {"--width", "--layers", "--ffn", "--vocab", "--heads"}) size->excludes(flag);
  app.add_option("--context", contexts_, "Tokens that the new token sees, itself included; several: N,N,…")
      ->delimiter(',')
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24))
      ->capture_default_str();
  app.add_option("--batch", batches_, "Sequences that get a token, or bring a prompt, at once; several: N,N,…")
      ->delimiter(',')
      ->check(CLI::Range(int64_t{1}, int64_t{4096}))
      ->capture_default_str();
  app.add_option("--prompt", prompts_, "Also prompts of so many tokens, computed from an empty cache; several: N,N,…")
      ->delimiter(',')
      ->check(CLI::Range(int64_t{2}, int64_t{1} << 24));
  app.add_option("--precision", precision_, "auto, bf16 or f32; random weights are stored in it")
      ->capture_default_str();
  app.add_option("--kv", kv_, "auto (f32 for f32 weights, else bf16), f32, bf16 or int8")->capture_default_str();
  app.add_option("--hardware", hardware_,
                 "Row of hardware to predict the time by, beside what is measured (mfa info --cpu --measure)");
  app.add_option("--hardware-file", hardware_file_, "Table that holds the row (default: the built-in and your own)")
      ->type_name("FILE");
  app.add_option("--seconds", seconds_, "Time to measure a row")
      ->check(CLI::Range(0.01, 3600.0))
      ->capture_default_str();
}

int64_t BenchModel::longest() const {
  int64_t most = 1;
  for (const Work& work : works()) most = std::max(most, work.context);
  return most;
}

ModelConfig BenchModel::random_config() const {
  ModelConfig config;
  if (size_.empty()) {
    PresetOptions options = shape_.options();
    options.context = longest();
    config = make_preset(attention_, options);
  } else {
    config = bench_config(attention_, train_shape(size_));
  }
  config.context = longest();
  return config;
}

BenchModel::Subject BenchModel::open(Device& device) const {
  Subject subject;
  if (!hardware_.empty()) subject.hardware = find_hardware(load_hardware(hardware_file_), hardware_);
  if (!model_.empty()) {
    ModelSession session = open_model(device, model_, {.precision = precision_, .kv = kv_, .positions = longest()});
    subject.name = fs::path(model_).filename().string();
    subject.precision = session.precision;
    subject.weight_type = session.weight_type;
    subject.kv_type = session.kv_type;
    subject.engine = std::move(session.engine);
    return subject;
  }
  const ModelConfig config = random_config();
  subject.name = size_.empty() ? attention_ : size_ + " " + attention_;
  subject.precision = device.precision();
  subject.weight_type = device.precision() == Precision::bf16 ? DType::bf16 : DType::f32;
  subject.kv_type = parse_kv(kv_, subject.weight_type);
  const MemoryPlan plan = plan_memory(config, subject.weight_type, subject.kv_type,
                                      bench_cache_tokens({.context = longest(),
                                                          .batch = *std::max_element(batches_.begin(), batches_.end()),
                                                          .kv_type = subject.kv_type}),
                                      longest());
  require_memory(plan);
  RandomWeights weights(device, config);
  subject.engine = std::make_unique<Engine>(device, config, weights,
                                            EngineOptions{.weights = subject.weight_type, .positions = longest()});
  return subject;
}

std::vector<BenchModel::Work> BenchModel::works() const {
  std::vector<Work> all;
  for (const int64_t batch : batches_)
    for (const int64_t context : contexts_) all.push_back({context, batch, 1});
  for (const int64_t batch : batches_)
    for (const int64_t prompt : prompts_) all.push_back({prompt, batch, prompt});
  return all;
}

BenchModel::Row BenchModel::measure(TimedDevice& device, const MachineLimits& machine, const Subject& subject,
                                    const Work& work) const {
  const ModelConfig& config = subject.engine->config();
  const AttentionSpec& a = config.layers[0].attention;
  const StepBenchRow row = bench_step(
      device, *subject.engine,
      {.context = work.context, .batch = work.batch, .new_tokens = work.new_tokens, .kv_type = subject.kv_type},
      seconds_, &device);
  const CapacityRow counted = capacity_of(config, subject.name, {.context = work.context});
  const double peak =
      subject.precision == Precision::bf16 ? machine.native_gflop_per_s() : machine.gemm_f32_gflop_per_s;
  const double of_prompt = counted.flops_per_token_prefill_absorbed > 0 ? counted.flops_per_token_prefill_absorbed
                                                                        : counted.flops_per_token_prefill;
  const BenchRow measured{
      work.prompt() ? "prompt" : "decode",
      fmt::format("{}: width {}, {} layers, {} heads x {}, FFN {}, vocabulary {}, context {}, batch {}, {} weights, "
                  "{} KV",
                  subject.name, config.width, config.n_layers(), a.n_heads, a.head_dim, config.layers[0].ffn,
                  config.vocab, work.context, work.batch, name_of(subject.weight_type), kv_name(subject.kv_type)),
      row.seconds,
      (work.prompt() ? of_prompt : counted.flops_per_token_decode) * row.tokens,
      row.bytes(),
      row.tokens,
      peak,
      machine.read_gb_per_s};
  Row result{
      measured.json(),
      {measured.work, grouped(work.context), grouped(work.batch), fmt::format("{:.2f}", row.seconds * 1e3),
       fmt::format("{:.1f}", row.tokens / row.seconds), fmt::format("{:.1f}", row.bytes() / row.seconds * 1e-9),
       fmt::format("{:.1f}", measured.gflops()), fmt::format("{:.2f}", measured.intensity()),
       fmt::format("{:.0f} %", 100 * measured.gflops() / measured.roof()), fmt::format("{:.2f}", row.products * 1e3),
       fmt::format("{:.2f}", row.attention * 1e3), fmt::format("{:.2f}", row.vectors * 1e3)}};
  result.json.update({{"attention", counted.attention},
                      {"context", work.context},
                      {"batch", work.batch},
                      {"precision", name_of(subject.precision)},
                      {"weights", name_of(subject.weight_type)},
                      {"kv", kv_name(subject.kv_type)},
                      {"parameters", counted.parameters},
                      {"weight_bytes", row.weight_bytes},
                      {"kv_bytes", row.kv_bytes},
                      {"steps", row.steps},
                      {"products_seconds", row.products},
                      {"attention_seconds", row.attention},
                      {"vectors_seconds", row.vectors}});
  return result;
}

// Beside what decoding takes, what a row of hardware says that it should.
void BenchModel::predict(const Subject& subject, const Work& work, Row& row) const {
  if (!subject.hardware || work.prompt()) return;
  const DecodeTime time =
      decode_time(subject.engine->config(),
                  {.context = work.context, .batch = work.batch, .weights = subject.weight_type, .kv = subject.kv_type},
                  *subject.hardware);
  row.json.update({{"predicted_seconds", time.seconds()},
                   {"predicted_products_seconds", time.products},
                   {"predicted_attention_seconds", time.attention},
                   {"predicted_vectors_seconds", time.vectors}});
  row.cells.push_back(fmt::format("{:.2f}", time.seconds() * 1e3));
}

BenchModel::Result BenchModel::run(Device& inner, const MachineLimits& machine) {
  TimedDevice device(inner);
  const Subject subject = open(device);
  TextTable table;
  table.add_column("work", TextTable::Align::left);
  for (const char* title : {"context", "batch", "ms", "tokens/s", "GB/s", "GFLOP/s", "FLOP/B", "roofline",
                            "products ms", "attention ms", "vectors ms"})
    table.add_column(title);
  if (subject.hardware) table.add_column("predicted ms");
  Result result;
  const std::vector<Work> all = works();
  Progress progress("bench model", static_cast<int64_t>(all.size()));
  for (const Work& work : all) {
    Row row = measure(device, machine, subject, work);
    predict(subject, work, row);
    table.add_row(std::move(row.cells));
    result.rows.push_back(std::move(row.json));
    progress.update(static_cast<int64_t>(result.rows.size()));
  }
  const ModelConfig& config = subject.engine->config();
  result.text = fmt::format("{}, {} parameters, {} weights, {} KV, products in {}\n", subject.name,
                            grouped(parameter_count(config)), name_of(subject.weight_type), kv_name(subject.kv_type),
                            name_of(subject.precision)) +
                table.render();
  return result;
}

}  // namespace mfa
