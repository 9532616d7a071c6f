// mfa capacity
#include "base/error.h"
#include "base/file.h"
#include "capacity/capacity_table.h"
#include "command.h"
#include "model/config_json.h"
#include "model/model_folder.h"
#include "model_flags.h"
#include "runtime/model_session.h"

namespace mfa {
namespace {

class CapacityCommand : public Command {
 public:
  void add_flags() override {
    app->add_option("what", what_, "Model folders, config.json files, presets, or paper-1b, paper-7b")
        ->required()
        ->type_name("MODEL|CONFIG|PRESET...");
    app->add_option("--kv", kv_, "Type of the cache: bf16, f32 or int8")->capture_default_str();
    model_.add_to(*app);
  }

  void run() override {
    const DType kv_type = parse_kv(kv_, DType::bf16);
    std::vector<CapacityRow> rows;
    for (const std::string& what : what_) add_rows(what, kv_type, rows);
    nlohmann::ordered_json json = nlohmann::ordered_json::array();
    for (const CapacityRow& row : rows) json.push_back(capacity_json(row));
    finish({{"rows", json}}, capacity_table(rows));
  }

 private:
  void add_rows(const std::string& what, DType kv_type, std::vector<CapacityRow>& rows) {
    const CapacityOptions options{.context = app->count("--context") > 0 ? model_.shape.context : 0,
                                  .kv_type = kv_type};
    if (what == "paper-1b" || what == "paper-7b") {
      constexpr std::string_view variants[] = {"mha", "mqa", "gqa", "mla", "mfa", "mfa-kr"};
      for (CapacityRow& row : capacity_of_variants(variants, paper_shape(what), what, options))
        rows.push_back(std::move(row));
      return;
    }
    const std::span<const std::string_view> presets = preset_names();
    if (std::find(presets.begin(), presets.end(), what) != presets.end()) {
      rows.push_back(capacity_of(make_preset(what, model_.options()), what, options));
      return;
    }
    rows.push_back(capacity_of(read_config(what), fs::path(what).filename().string(), options));
  }

  static ModelConfig read_config(const std::string& what) {
    if (fs::path(what).extension() != ".json") {
      if (!path_exists(what))
        bad_input("[capacity] {} is no model, config or preset; presets are {}", what, fmt::join(preset_names(), ", "));
      return load_config(what);
    }
    const Json json = parse_json(read_file(what), what);
    return json.contains("model_type") ? config_from_json(json, what) : spec_from_json(json, what);
  }

  std::vector<std::string> what_;
  std::string kv_ = "bf16";
  ModelFlags model_;
};

}  // namespace

std::unique_ptr<Command> make_capacity_command() { return std::make_unique<CapacityCommand>(); }

}  // namespace mfa
