// Golden cases of tests/fixtures/make_model_fixtures.py: what an independent PyTorch model in double precision
// computed.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "model/model_config.h"

namespace mfa::test {

// A tensor in two numbers: its dot product with a fixed vector in [−1, 1)ⁿ that its name chooses, and its length. Any
// wrong number changes the first, save by a coincidence of the order of the tolerance.
struct Summary {
  double dot = 0, length = 0;
};

struct GoldenCase {
  std::string name;
  ModelConfig config;
  int64_t sequences = 0, tokens = 0;
  std::vector<int32_t> ids, targets;         // [sequences · tokens]; target −1: not scored
  std::vector<int32_t> doc_start;            // the same size: first token of its sequence that a token sees; empty: all
  std::vector<double> logits;                // [sequences · tokens, vocab], before training
  std::vector<double> losses;                // before each optimizer step, and after the last
  std::map<std::string, Summary> gradients;  // of the mean loss, before clipping, at the initial parameters
  std::map<std::string, Summary> trained;    // parameters after the last step
  std::map<std::string, std::vector<double>> full_gradients;  // of some cases, number by number
};

// AdamW on one batch, after each gradient was multiplied by min(1, max_norm / length of all gradients).
struct GoldenOptimizer {
  double lr = 0, beta1 = 0, beta2 = 0, eps = 0, decay = 0, max_norm = 0;
  int64_t steps = 0;
};

struct GoldenSuite {
  GoldenOptimizer optimizer;
  std::vector<GoldenCase> cases;
};
const GoldenSuite& golden_suite();

// `count` numbers in [−1, 1): SplitMix64 started at the FNV-1a hash of the name, as in the script.
std::vector<double> numbers_of(std::string_view name, int64_t count);
// The initial value of a parameter, row-major, by the script's rule.
std::vector<double> initial_parameter(const ParameterSpec& spec);
Summary summarise(const std::string& name, const std::vector<double>& values);

// A RopeSpec from the fields that are given; the others keep their defaults.
RopeSpec rope_from_json(const nlohmann::json& json);
nlohmann::json read_fixture(const std::string& name);  // a JSON file of tests/fixtures

}  // namespace mfa::test
