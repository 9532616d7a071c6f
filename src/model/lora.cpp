#include "model/lora.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "kernels/precision.h"

namespace mfa {
namespace {

constexpr std::string_view kWeight = ".weight";

// A matrix that a layer multiplies its input by. MFA-KR's mix N acts inside attention, on keys: no module of its own.
bool is_linear(const ParameterSpec& spec) {
  return spec.layer >= 0 && !spec.vector && !spec.name.ends_with("value_mix.weight");
}

std::string module_of(const ParameterSpec& spec) { return spec.name.substr(0, spec.name.size() - kWeight.size()); }

std::string last_part(const std::string& module) { return module.substr(module.rfind('.') + 1); }

void check(const ModelConfig& config, const LoraSpec& spec) {
  if (spec.rank < 1 || spec.rank > config.width)
    bad_input("[lora] rank, got {}, expected 1 to the model's width of {}", spec.rank, config.width);
  if (!(spec.alpha > 0 && spec.alpha <= 1e6))
    bad_input("[lora] alpha, got {}, expected a number above 0 and at most 1000000", spec.alpha);
  std::set<std::string> known;
  for (const std::string& module : linear_modules(config)) known.insert(last_part(module));
  for (const std::string& target : spec.targets)
    if (!known.contains(target))
      bad_input("[lora] the model has no linear layer of that name, got {}, expected {}", target,
                fmt::join(known, ", "));
}

}  // namespace

std::vector<std::string> linear_modules(const ModelConfig& config) {
  std::vector<std::string> modules;
  for (const ParameterSpec& spec : parameter_table(config))
    if (is_linear(spec)) modules.push_back(module_of(spec));
  return modules;
}

std::vector<ParameterSpec> lora_table(const ModelConfig& config, const LoraSpec& spec) {
  check(config, spec);
  std::vector<ParameterSpec> table;
  int64_t offset = 0;
  const auto add = [&](const std::string& name, int64_t rows, int64_t cols, int64_t layer) {
    table.push_back({name, rows, cols, offset, true, layer, false});
    offset += rows * cols;
  };
  for (const ParameterSpec& base : parameter_table(config)) {
    if (!is_linear(base)) continue;
    const std::string module = module_of(base);
    if (!spec.targets.empty() &&
        std::find(spec.targets.begin(), spec.targets.end(), last_part(module)) == spec.targets.end())
      continue;
    add(module + ".lora_A.weight", spec.rank, base.cols, base.layer);
    add(module + ".lora_B.weight", base.rows, spec.rank, base.layer);
  }
  return table;
}

std::vector<ParameterSpec> vectors_of(const ModelConfig& config) {
  std::vector<ParameterSpec> table;
  int64_t offset = 0;
  for (ParameterSpec spec : parameter_table(config)) {
    if (!spec.vector) continue;
    spec.offset = offset;
    offset += spec.size();
    table.push_back(std::move(spec));
  }
  return table;
}

Lora::Lora(Device& device, const ModelConfig& config, LoraSpec lora_spec)
    : spec(std::move(lora_spec)), weights(device, lora_table(config, spec)), gradients(device, weights.table()) {}

void initialise(Lora& lora, uint64_t seed) {
  for (const ParameterSpec& spec : lora.weights.table()) {
    std::vector<double> values(static_cast<size_t>(spec.size()), 0.0);
    if (spec.name.ends_with("lora_A.weight")) {
      Random random(seed, hash64(spec.name));
      const double bound = 1 / std::sqrt(static_cast<double>(spec.cols));
      for (double& x : values) x = bound * (2 * random.uniform() - 1);
    }
    lora.weights.upload_f64(spec, values);
  }
}

void merge(const Lora& lora, ParameterStore& weights) {
  Device& device = weights.device();
  const PrecisionScope scope(device, Precision::f32);
  for (size_t i = 0; i < lora.weights.table().size(); i += 2) {  // A and B stand in pairs
    const ParameterSpec &a = lora.weights.table()[i], &b = lora.weights.table()[i + 1];
    const std::string module = a.name.substr(0, a.name.size() - std::string_view(".lora_A.weight").size());
    const size_t bytes = static_cast<size_t>(b.size()) * size_of(device.real());
    const DeviceMemory scratch(device, bytes);
    const Tensor scaled{scratch.data(), device.real(), b.rows, b.cols, b.cols};
    device.convert(scaled, lora.weights.view(b));
    device.scale(scaled, lora.spec.scale());
    device.matmul({.a = scaled, .b = lora.weights.view(a), .c = weights[module + ".weight"], .accumulate = true});
  }
}

}  // namespace mfa
