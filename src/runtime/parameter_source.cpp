#include "runtime/parameter_source.h"

#include "model/model_folder.h"

namespace mfa {

StreamedWeights::StreamedWeights(Device& device, const ModelConfig& config, const WeightFile& file)
    : device_(device), config_(config), file_(file) {
  file.check(config);
  table_ = parameter_table(config);
}

const ParameterStore& StreamedWeights::part(const std::function<bool(const ParameterSpec&)>& wanted) {
  std::vector<ParameterSpec> table;
  int64_t offset = 0;
  for (const ParameterSpec& spec : table_) {
    if (!wanted(spec)) continue;
    table.push_back(spec);
    table.back().offset = offset;
    offset += spec.size();
  }
  part_.reset();  // the last part's memory, before the next one's
  part_.emplace(device_, std::move(table));
  read_parameters(file_, config_, *part_);
  return *part_;
}

}  // namespace mfa
