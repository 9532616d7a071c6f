// Where an engine takes its parameters from, a part at a time: opening a model then never needs room for all of them
// beside their packed form.
#pragma once

#include <functional>
#include <optional>

#include "model/parameter_store.h"
#include "model/weight_file.h"

namespace mfa {

class ParameterSource {
 public:
  virtual ~ParameterSource() = default;
  // A store that holds at least the parameters that are wanted. It is valid until the next call.
  virtual const ParameterStore& part(const std::function<bool(const ParameterSpec&)>& wanted) = 0;
};

// Parameters that are in memory already.
class WholeStore : public ParameterSource {
 public:
  explicit WholeStore(const ParameterStore& store) : store_(store) {}
  const ParameterStore& part(const std::function<bool(const ParameterSpec&)>&) override { return store_; }

 private:
  const ParameterStore& store_;
};

// Random weights of a config, as training starts from them, made a part at a time: for measurements of speed.
class RandomWeights : public ParameterSource {
 public:
  // Both must outlive this.
  RandomWeights(Device& device, const ModelConfig& config) : device_(device), config_(config) {}
  const ParameterStore& part(const std::function<bool(const ParameterSpec&)>& wanted) override;

 private:
  Device& device_;
  const ModelConfig& config_;
  std::optional<ParameterStore> part_;
};

// Reads each part from the files when it is asked for. Nothing is read twice by an engine, except by layers that share
// a cache.
class StreamedWeights : public ParameterSource {
 public:
  // Checks the whole file against the config (WeightFile::check). All three must outlive this.
  StreamedWeights(Device& device, const ModelConfig& config, const WeightFile& file);
  const ParameterStore& part(const std::function<bool(const ParameterSpec&)>& wanted) override;

 private:
  Device& device_;
  const ModelConfig& config_;
  const WeightFile& file_;
  std::vector<ParameterSpec> table_;
  std::optional<ParameterStore> part_;
};

}  // namespace mfa
