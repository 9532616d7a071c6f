// mfa bench attention: one attention layer, of one shape or of several measured in turn.
#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kernels/device.h"
#include "kernels/machine.h"
#include "runtime/attention_bench.h"

namespace mfa {

class BenchAttention {
 public:
  void add_to(CLI::App& app);

  struct Result {
    nlohmann::ordered_json rows = nlohmann::ordered_json::array();
    std::string text;
  };
  std::vector<AttentionBenchShape> shapes() const;  // every combination of the lists, then those of the sweep
  Result run(Device& device, const MachineLimits& machine, const std::vector<AttentionBenchShape>& shapes) const;

 private:
  std::vector<int64_t> heads_ = {16}, contexts_ = {8192};
  std::vector<std::string> kv_ = {"bf16"}, attention_ = {"mfa"};
  AttentionBenchShape shape_;  // what all have in common
  std::string phase_ = "decode", plot_;
  double seconds_ = 1;
  bool sweep_ = false;
};

}  // namespace mfa
