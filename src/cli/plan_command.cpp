// mfa plan
#include "base/file.h"
#include "base/progress.h"
#include "capacity/plan_plot.h"
#include "capacity/plan_table.h"
#include "command.h"
#include "model/config_json.h"
#include "plan_flags.h"

namespace mfa {
namespace {

class PlanCommand : public Command {
 public:
  void add_flags() override {
    flags_.add_to(*app);
    app->add_option("--top", top_, "Rows of the front to show (0: all)")
        ->check(CLI::Range(0, 1 << 20))
        ->capture_default_str()
        ->group("Output");
    app->add_option("--out", out_, "Write the chosen spec, as mfa train --config takes it")
        ->type_name("FILE")
        ->group("Output");
    app->add_option("--plot", plot_, "Write a plot of what each variant reaches")
        ->type_name("FILE.svg")
        ->group("Output");
  }

  void run() override {
    const PlanRequest request = flags_.request();
    const Plan plan = make_plan(request);
    const std::vector<size_t> rows = shown_rows(plan, request, top_);
    if (!out_.empty()) {
      const ModelConfig config = plan_config(plan.front[plan.chosen].spec, request.shape);
      write_file(out_, spec_to_json(config).dump(2) + "\n");
      note(fmt::format("[plan] {} holds row {}: mfa train --config {}", out_, plan.chosen + 1, out_));
    }
    if (!plot_.empty()) write_file(plot_, plan_plot(plan, request));
    finish(plan_json(plan, request, rows), plan_text(plan, request, rows));
  }

 private:
  PlanFlags flags_;
  size_t top_ = 20;
  std::string out_, plot_;
};

}  // namespace

std::unique_ptr<Command> make_plan_command() { return std::make_unique<PlanCommand>(); }

}  // namespace mfa
