// mfa bench model: a whole model decoding behind long caches, and computing prompts.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench_row.h"
#include "capacity/hardware.h"
#include "kernels/device.h"
#include "kernels/machine.h"
#include "model_flags.h"
#include "runtime/step_bench.h"

namespace mfa {

class BenchModel {
 public:
  void add_to(CLI::App& app);
  const std::string& precision() const { return precision_; }

  struct Result {
    nlohmann::ordered_json rows = nlohmann::ordered_json::array();
    std::string text;
  };
  Result run(Device& device, const MachineLimits& machine);

 private:
  struct Subject {  // what is measured
    std::string name;
    Precision precision = Precision::f32;
    DType weight_type = DType::f32, kv_type = DType::f32;
    std::unique_ptr<Engine> engine;
    std::optional<Hardware> hardware;  // to predict by
  };
  struct Work {
    int64_t context, batch, new_tokens;
    bool prompt() const { return new_tokens > 1; }
  };
  struct Row {
    nlohmann::ordered_json json;
    std::vector<std::string> cells;
  };
  Subject open(Device& device) const;
  Row measure(TimedDevice& device, const MachineLimits& machine, const Subject& subject, const Work& work) const;
  void predict(const Subject& subject, const Work& work, Row& row) const;
  std::vector<Work> works() const;  // all decoding, then all prompts
  ModelConfig random_config() const;
  int64_t longest() const;

  std::string hardware_, hardware_file_;
  std::string model_, size_, attention_ = "mfa", precision_ = "auto", kv_ = "auto";
  std::vector<int64_t> contexts_ = {1024}, prompts_, batches_ = {1};
  double seconds_ = 2;
  ModelFlags shape_;
};

}  // namespace mfa
