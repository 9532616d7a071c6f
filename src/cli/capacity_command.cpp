// mfa capacity
#include "base/error.h"
#include "base/file.h"
#include "capacity/capacity_table.h"
#include "capacity/foreign_config.h"
#include "capacity/named_shapes.h"
#include "command.h"
#include "hardware_flags.h"
#include "measured_rank_report.h"
#include "model/config_json.h"
#include "model/model_folder.h"
#include "model_flags.h"
#include "predicted_decode.h"
#include "runtime/model_session.h"

namespace mfa {
namespace {

class CapacityCommand : public Command {
 public:
  void add_flags() override {
    app->add_option("what", what_,
                    "Model folders, config.json files of any known family, presets, or paper-1b, "
                    "paper-7b, step3")
        ->required()
        ->type_name("MODEL|CONFIG|PRESET...");
    app->add_option("--kv", kv_, "Type of the cache: bf16, f32 or int8")->capture_default_str();
    app->add_option("--convention", convention_, "exact, or step3-report: as that report's tables count")
        ->capture_default_str();
    app->add_flag("--measured-rank", measured_rank_,
                  "MODEL: also the ranks that each head's W_c and U_c really have, from the weights");
    app->add_option("--rank-tolerance", rank_tolerance_,
                    "Singular values above this share of the largest count (0: width times 2^-23)")
        ->check(CLI::Range(0.0, 1.0));
    hardware_.add_to(*app);
    model_.add_to(*app);
  }

  void run() override {
    options_.context = app->count("--context") > 0 ? model_.shape.context : 0;
    options_.kv_type = parse_kv(kv_, DType::bf16);
    if (convention_ != "exact" && convention_ != "step3-report")
      bad_input("[capacity] --convention, got {}, expected exact or step3-report", convention_);
    options_.convention = convention_ == "exact" ? Convention::exact : Convention::step3_report;
    const HardwareQuestion question = hardware_.question();
    std::vector<CapacityRow> rows;
    for (const std::string& what : what_) add_rows(what, rows);
    nlohmann::ordered_json json = nlohmann::ordered_json::array();
    for (const CapacityRow& row : rows) json.push_back(capacity_json(row, question));
    std::string text = text_of(rows, question);
    add_predictions(rows, question, json, text);
    if (measured_rank_) add_measured_ranks(rows, json, text);
    finish({{"rows", json}}, text);
  }

 private:
  std::string text_of(const std::vector<CapacityRow>& rows, const HardwareQuestion& question) const {
    constexpr size_t kMostColumns = 8;  // of a table that has one a row
    std::string text = capacity_table(rows);
    if (rows.size() <= kMostColumns) text += "\n" + flops_table(rows);
    if (question.memory && !hardware_.named()) text += "\n" + memory_table(rows, question);
    if (const std::string prices = price_table(rows, question); !prices.empty()) text += "\n" + prices;
    if (hardware_.named()) text += "\n" + throughput_table(rows, question);
    return text;
  }

  void add_predictions(const std::vector<CapacityRow>& rows, const HardwareQuestion& question,
                       nlohmann::ordered_json& json, std::string& text) const {
    if (!hardware_.named()) return;
    std::vector<PredictedModel> subjects;
    for (size_t i = 0; i < rows.size(); ++i) {
      subjects.push_back({rows[i], models_[i]});
      json[i]["predicted_decode"] = predicted_decode_json(subjects.back(), options_.kv_type, question);
    }
    const std::string table = predicted_decode_table(subjects, options_.kv_type, question);
    if (!table.empty()) text += "\n" + table;
  }

  void add_measured_ranks(const std::vector<CapacityRow>& rows, nlohmann::ordered_json& json, std::string& text) const {
    if (what_.size() != rows.size() || what_.size() != sources_.size())
      bad_input("[capacity] --measured-rank reads weights, got a preset or shape, expected MODEL alone");
    for (size_t i = 0; i < rows.size(); ++i) {
      const MeasuredRank rank = measure_model_rank(sources_[i], load_config(sources_[i]), rank_tolerance_);
      json[i]["measured_rank"] = measured_rank_json(rank);
      text += "\n" + measured_rank_table(rows[i].name, rank);
    }
  }

  void add_rows(const std::string& what, std::vector<CapacityRow>& rows) {
    const auto is_in = [&](std::span<const std::string_view> names) {
      return std::find(names.begin(), names.end(), what) != names.end();
    };
    if (is_in(shape_names())) {
      for (CapacityRow& row : capacity_of_shape(what, options_)) rows.push_back(std::move(row));
      models_.resize(rows.size());
    } else if (is_in(preset_names())) {
      models_.push_back(cost_model(make_preset(what, model_.options())));
      rows.push_back(capacity_of(*models_.back(), what, options_));
    } else {
      models_.push_back(read_model(what));
      sources_.push_back(what);
      rows.push_back(capacity_of(*models_.back(), name_of_path(what), options_));
    }
  }

  static std::string name_of_path(const fs::path& path) {
    return path.has_filename() ? path.filename().string() : path.parent_path().filename().string();
  }

  // A folder, a config or a weight file; families that do not run are counted all the same.
  static CostModel read_model(const std::string& what) {
    if (!path_exists(what))
      bad_input("[capacity] {} is no model, config, preset or shape; presets are {}, shapes {}", what,
                fmt::join(preset_names(), ", "), fmt::join(shape_names(), ", "));
    const fs::path path = what, config = path / "config.json";
    if (is_folder(path) && path_exists(config)) return read_config(config);
    if (path.extension() == ".json") return read_config(path);
    return cost_model(load_config(path));
  }

  static CostModel read_config(const fs::path& path) {
    const Json json = parse_json(read_file(path), path.string());
    if (json.is_object() && (json.contains("model_type") || json.contains("text_config")))
      return cost_model_from_json(json, path.string());
    const ModelConfig config = spec_from_json(json, path.string());
    validate(config);
    return cost_model(config);
  }

  std::vector<std::string> what_;
  std::vector<std::optional<CostModel>> models_;  // of each row; none for the variants of a named shape
  std::vector<std::string> sources_;              // that were files
  bool measured_rank_ = false;
  double rank_tolerance_ = 0;
  std::string kv_ = "bf16", convention_ = "exact";
  CapacityOptions options_;
  HardwareFlags hardware_;
  ModelFlags model_;
};

}  // namespace

std::unique_ptr<Command> make_capacity_command() { return std::make_unique<CapacityCommand>(); }

}  // namespace mfa
