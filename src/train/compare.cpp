#include "train/compare.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/median.h"
#include "base/progress.h"
#include "formats/json.h"
#include "kernels/machine.h"
#include "kernels/precision.h"
#include "model/config_json.h"
#include "model/model_folder.h"
#include "runtime/step_bench.h"
#include "runtime/engine.h"
#include "runtime/kv_cache.h"
#include "train/recipe.h"

namespace mfa {
namespace {

Json curve_to_json(const std::vector<LossPoint>& curve) {
  Json json = Json::array();
  for (const LossPoint& point : curve) json.push_back({point.step, point.loss});
  return json;
}

std::vector<LossPoint> curve_from_json(const Json& json) {
  std::vector<LossPoint> curve;
  for (const Json& point : json)
    if (point.is_array() && point.size() == 2 && point[0].is_number_integer() && point[1].is_number())
      curve.push_back({point[0].get<int64_t>(), point[1].get<double>()});
  return curve;
}

// What result.json keeps of a finished run: enough to fill its part of a row without training again.
struct RunRecord {
  CompareRun run;
  double tokens_per_s = 0;
};

// Curves and speed (the median of the logged steps) from a run's log, which a resumed run carries on: whole, however
// often it was stopped.
void read_log(const fs::path& folder, RunRecord& record) {
  std::vector<double> rates;
  const std::string log = read_file(folder / "log.jsonl");
  for (size_t begin = 0, end; (end = log.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string where = (folder / "log.jsonl").string();
    const Json line = parse_json(std::string_view(log).substr(begin, end - begin), where);
    const int64_t step = find_int(line, "step", where).value_or(0);
    if (const auto rate = find_double(line, "tokens_per_s", where)) rates.push_back(*rate);
    if (const auto loss = find_double(line, "loss", where)) record.run.train_curve.push_back({step, *loss});
    if (const auto loss = find_double(line, "val_loss", where)) record.run.val_curve.push_back({step, *loss});
  }
  if (rates.empty()) return;
  record.tokens_per_s = median(std::move(rates));
}

void write_record(const fs::path& file, const RunRecord& record) {
  const Json json = {{"seed", record.run.seed},
                     {"val_loss", record.run.val_loss},
                     {"lr", record.run.lr},
                     {"tokens_per_s", record.tokens_per_s},
                     {"train_curve", curve_to_json(record.run.train_curve)},
                     {"val_curve", curve_to_json(record.run.val_curve)}};
  write_file(file, json.dump(1) + "\n");
}

RunRecord read_record(const fs::path& file) {
  const std::string where = file.string();
  const Json json = parse_json(read_file(file), where);
  RunRecord record;
  record.run.seed = static_cast<uint64_t>(get_int(json, "seed", where, 0));
  record.run.val_loss = find_double(json, "val_loss", where).value_or(NAN);  // null: the run diverged
  record.run.lr = get_double(json, "lr", where);
  record.tokens_per_s = get_double(json, "tokens_per_s", where);
  record.run.train_curve = curve_from_json(get_array(json, "train_curve", where));
  record.run.val_curve = curve_from_json(get_array(json, "val_curve", where));
  return record;
}

class Comparer {
 public:
  Comparer(Device& device, const Corpus& corpus, const CompareOptions& options)
      : device_(device), corpus_(corpus), options_(options) {}

  CompareRow row(const std::string& variant, const ModelConfig& config);
  bool interrupted() const { return interrupted_; }

 private:
  RunRecord run(const fs::path& folder, const std::string& title, const ModelConfig& config, uint64_t seed, double lr,
                int64_t steps);
  double best_lr(const std::string& variant, const ModelConfig& config);
  void measure(const std::string& variant, const ModelConfig& config, CompareRow& row);

  Device& device_;
  const Corpus& corpus_;
  const CompareOptions& options_;
  bool interrupted_ = false;
};

RunRecord Comparer::run(const fs::path& folder, const std::string& title, const ModelConfig& config, uint64_t seed,
                        double lr, int64_t steps) {
  const fs::path file = folder / "result.json";
  if (path_exists(file)) return read_record(file);
  TrainOptions train_options = options_.train;
  train_options.out = folder;
  train_options.title = title;
  train_options.resume = true;
  train_options.steps = steps;
  train_options.schedule.peak = lr;
  if (train_options.schedule.warmup > 0)
    train_options.schedule.warmup = std::max<int64_t>(1, std::min(train_options.schedule.warmup, steps / 5));
  train_options.seed = train_options.init.seed = seed;
  RunRecord record;
  record.run.seed = seed;
  record.run.lr = lr;
  try {
    const TrainResult result = train(device_, config, corpus_, train_options);
    interrupted_ = result.interrupted;
    record.run.val_loss = result.val_loss;
    read_log(folder, record);
  } catch (const Diverged& diverged) {  // that is a result too; a full disk is not
    warn(diverged.what());
    record.run.val_loss = NAN;
  }
  if (!interrupted_) write_record(file, record);
  return record;
}

double Comparer::best_lr(const std::string& variant, const ModelConfig& config) {
  const double middle = options_.train.schedule.peak;
  if (!options_.lr_sweep) return middle;
  double best = middle, best_loss = INFINITY;
  for (const double lr : {middle / 3, middle, middle * 3}) {
    if (interrupted_) break;
    const RunRecord record =
        run(options_.train.out / fmt::format("{}-lr{:.2g}", variant, lr), fmt::format("{:7} lr {:.2g}", variant, lr),
            config, 0, lr, std::max<int64_t>(1, options_.train.steps / 5));
    if (record.run.val_loss < best_loss) {
      best_loss = record.run.val_loss;
      best = lr;
    }
  }
  return best;
}

// Decode speed and the allocated cache of the first run's weights, kept in the run's folder once measured.
void Comparer::measure(const std::string& variant, const ModelConfig& config, CompareRow& row) {
  const fs::path folder = options_.train.out / fmt::format("{}-seed{}", variant, options_.first_seed),
                 file = folder / "decode.json";
  const Json conditions = {{"context", options_.decode_context},
                           {"kv", kv_name(options_.kv_type)},
                           {"precision", name_of(device_.precision())}};
  if (path_exists(file)) {
    const Json json = parse_json(read_file(file), file.string());
    if (const Json* before = find_member(json, "conditions", file.string());
        before != nullptr && *before == conditions) {
      row.decode_tokens_per_s = get_double(json, "decode_tokens_per_s", file.string());
      row.kv_bytes_per_token_allocated = get_int(json, "kv_bytes_per_token_allocated", file.string());
      return;
    }
  }
  ParameterStore weights(device_, config);
  load_parameters(SafetensorsReader(folder), config, weights);
  const DType weight_type = device_.precision() == Precision::bf16 ? DType::bf16 : DType::f32;
  Engine engine(device_, config, weights, {.weights = weight_type, .positions = options_.decode_context});
  constexpr double kSeconds = 0.5;
  const StepBenchShape shape{.context = options_.decode_context, .kv_type = options_.kv_type};
  row.decode_tokens_per_s = 1 / bench_step(device_, engine, shape, kSeconds).seconds;
  row.kv_bytes_per_token_allocated = KvCache(device_, config, options_.kv_type, 1).bytes_per_token();
  const Json json = {{"decode_tokens_per_s", row.decode_tokens_per_s},
                     {"kv_bytes_per_token_allocated", row.kv_bytes_per_token_allocated},
                     {"conditions", conditions}};
  write_file(file, json.dump(1) + "\n");
}

CompareRow Comparer::row(const std::string& variant, const ModelConfig& config) {
  CompareRow row;
  row.attention = variant;
  row.config = config;
  const CapacityRow capacity = capacity_of(config, variant, {.kv_type = options_.kv_type});
  row.parameters = capacity.parameters;
  row.kv_bytes_per_token = capacity.kv_bytes_per_token;
  row.slsd = capacity.slsd;
  row.frh = capacity.frh;
  row.ter = capacity.ter;
  const double lr = best_lr(variant, config);
  double rate = 0;
  int64_t rates = 0;
  for (int64_t i = 0; i < options_.seeds && !interrupted_; ++i) {
    const int64_t seed = options_.first_seed + i;
    const std::string name = fmt::format("{}-seed{}", variant, seed);
    const RunRecord record = run(options_.train.out / name, fmt::format("{:12}", name), config,
                                 static_cast<uint64_t>(seed), lr, options_.train.steps);
    if (interrupted_) break;
    row.runs.push_back(record.run);
    if (record.tokens_per_s > 0) rate += record.tokens_per_s, ++rates;
  }
  if (rates > 0) row.train_tokens_per_s = rate / static_cast<double>(rates);
  if (!interrupted_ &&
      path_exists(options_.train.out / fmt::format("{}-seed{}", variant, options_.first_seed) / "model.safetensors"))
    measure(variant, config, row);
  return row;
}

// Finished runs are reused, so a folder must not be gone on with under other conditions.
void check_recipe(const Corpus& corpus, const CompareOptions& o, const std::vector<ModelConfig>& configs,
                  Precision precision) {
  Json recipe = recipe_of(corpus, o.train, precision);
  recipe["steps"] = o.train.steps;
  recipe["lr_sweep"] = o.lr_sweep;
  recipe["validation_tokens"] = o.train.validation_tokens;
  for (size_t i = 0; i < configs.size(); ++i) recipe["spec " + o.variants[i]] = spec_to_json(configs[i]);
  const fs::path file = o.train.out / "compare.json";
  if (path_exists(file)) {
    const Json before = parse_json(read_file(file), file.string());
    if (!before.is_object()) bad_input("[compare] {} is damaged, expected an object", file.string());
    for (const auto& [key, value] : recipe.items())
      if (before.contains(key) && before[key] != value)
        bad_input("[compare] {} holds a comparison with another {} ({}); use another --out", o.train.out.string(), key,
                  first_difference(before[key], value));
    for (const auto& [key, value] : before.items())
      if (!recipe.contains(key)) recipe[key] = value;  // variants of an earlier call
  }
  write_file(file, recipe.dump(1) + "\n");
}

}  // namespace

std::vector<ModelConfig> matched_configs(const std::vector<std::string>& variants, const PresetOptions& shape) {
  if (variants.empty()) bad_input("[compare] no variants, expected at least one");
  const bool has_mha = std::find(variants.begin(), variants.end(), "mha") != variants.end();
  const std::string reference = has_mha ? "mha" : variants[0];
  const int64_t parameters = parameter_count(make_preset(reference, shape));
  std::vector<ModelConfig> configs;
  // A feed-forward width given by hand is the reference's; the others' follow from the parameters.
  for (const std::string& variant : variants)
    configs.push_back(variant == reference ? make_preset(variant, shape)
                                           : match_parameters(variant, shape, parameters));
  return configs;
}

std::vector<CompareRow> compare(Device& device, const Corpus& corpus, const CompareOptions& options,
                                bool& interrupted) {
  const std::vector<ModelConfig> configs = matched_configs(options.variants, options.shape);
  CompareOptions filled = options;
  if (filled.train.gemm_peak <= 0) filled.train.gemm_peak = gemm_peak(device);
  make_folder(options.train.out);
  check_recipe(corpus, filled, configs, device.precision());
  Comparer comparer(device, corpus, filled);
  std::vector<CompareRow> rows;
  for (size_t i = 0; i < configs.size() && !comparer.interrupted(); ++i)
    rows.push_back(comparer.row(options.variants[i], configs[i]));
  interrupted = comparer.interrupted();
  return rows;
}

}  // namespace mfa
