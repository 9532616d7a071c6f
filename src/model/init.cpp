#include "model/init.h"

#include <cmath>

#include "base/file.h"
#include "base/random.h"

namespace mfa {
namespace {

bool ends_with(const std::string& name, std::string_view end) { return std::string_view(name).ends_with(end); }

double deviation(const ParameterSpec& spec, const ModelConfig& config, const InitOptions& options) {
  const double fan_in = 1 / std::sqrt(static_cast<double>(spec.cols));
  if (ends_with(spec.name, "value_mix.weight")) return fan_in;
  const bool down = ends_with(spec.name, "down_proj.weight"), out = ends_with(spec.name, "o_proj.weight");
  switch (options.kind) {
    case InitKind::paper:
      if (spec.layer < 0) return 0.02;
      return down ? fan_in / std::sqrt(2.0 * static_cast<double>(spec.layer + 1)) : fan_in;
    case InitKind::gpt2:
      return down || out ? 0.02 / std::sqrt(2.0 * static_cast<double>(config.n_layers())) : 0.02;
    case InitKind::deepseek:
      return 0.006;
  }
  return 0;
}

void fill_vector(const ParameterSpec& spec, const InitOptions& options, Random& random, std::vector<double>& values) {
  if (ends_with(spec.name, "value_gate")) {
    if (options.gate == GateInit::one) values.assign(values.size(), 1.0);
    if (options.gate == GateInit::normal)
      for (double& x : values) x = random.normal();
  } else if (!ends_with(spec.name, ".bias")) {
    values.assign(values.size(), 1.0);  // a norm's weight
  }
}

}  // namespace

void initialise(ParameterStore& parameters, const ModelConfig& config, const InitOptions& options) {
  for (const ParameterSpec& spec : parameters.table()) {
    Random random(options.seed, hash64(spec.name));
    std::vector<double> values(static_cast<size_t>(spec.size()), 0.0);
    if (spec.vector) {
      fill_vector(spec, options, random, values);
    } else {
      const double sd = deviation(spec, config, options);
      for (double& x : values) x = sd * random.normal();
      if (options.mix == MixInit::identity && ends_with(spec.name, "value_mix.weight"))
        for (int64_t i = 0; i < spec.size(); ++i) values[i] = i % (spec.cols + 1) == 0 ? 1 : 0;
    }
    parameters.upload_f64(spec, values);
  }
}

}  // namespace mfa
