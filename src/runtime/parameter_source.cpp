#include "runtime/parameter_source.h"

#include "model/init.h"
#include "model/model_folder.h"

namespace mfa {
namespace {

// The wanted rows of a table, without gaps.
std::vector<ParameterSpec> wanted_table(const std::vector<ParameterSpec>& all,
                                        const std::function<bool(const ParameterSpec&)>& wanted) {
  std::vector<ParameterSpec> table;
  int64_t offset = 0;
  for (const ParameterSpec& spec : all) {
    if (!wanted(spec)) continue;
    table.push_back(spec);
    table.back().offset = offset;
    offset += spec.size();
  }
  return table;
}

}  // namespace

const ParameterStore& RandomWeights::part(const std::function<bool(const ParameterSpec&)>& wanted) {
  part_.reset();  // the last part's memory, before the next one's
  part_.emplace(device_, wanted_table(parameter_table(config_), wanted));
  initialise(*part_, config_, {});
  return *part_;
}

StreamedWeights::StreamedWeights(Device& device, const ModelConfig& config, const WeightFile& file)
    : device_(device), config_(config), file_(file) {
  file.check(config);
  table_ = parameter_table(config);
}

const ParameterStore& StreamedWeights::part(const std::function<bool(const ParameterSpec&)>& wanted) {
  part_.reset();
  part_.emplace(device_, wanted_table(table_, wanted));
  read_parameters(file_, config_, *part_);
  return *part_;
}

}  // namespace mfa
