// All parameters (or gradients, or moments) of a model: one flat allocation on a device, carved by the table of names.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <unordered_map>

#include "kernels/device.h"
#include "model/model_config.h"

namespace mfa {

class ParameterStore {
 public:
  // Zeros. Numbers have the device's real type.
  ParameterStore(Device& device, const ModelConfig& config);
  // The same for any table, whose offsets leave no gaps: part of a model, or what stands beside it.
  ParameterStore(Device& device, std::vector<ParameterSpec> table);

  const std::vector<ParameterSpec>& table() const { return table_; }
  int64_t size() const { return size_; }
  Tensor flat() const { return {memory_.data(), device_->real(), 1, size_, size_}; }
  Device& device() const { return *device_; }

  bool has(const std::string& name) const { return index_.contains(name); }
  const ParameterSpec& spec(const std::string& name) const { return table_[index_.at(name)]; }
  Tensor operator[](const std::string& name) const { return view(spec(name)); }
  Tensor view(const ParameterSpec& spec) const;
  // One matrix over neighbours: from `first` to `last`, all of the same columns (vectors: one long vector).
  Tensor span(const std::string& first, const std::string& last) const;

  // Host copies of one tensor, row-major; the numbers pass through f64 only on the f64 device.
  std::vector<float> download(const ParameterSpec& spec) const;
  void upload(const ParameterSpec& spec, std::span<const float> values);
  std::vector<double> download_f64(const ParameterSpec& spec) const;
  void upload_f64(const ParameterSpec& spec, std::span<const double> values);

 private:
  Device* device_;
  std::vector<ParameterSpec> table_;
  std::unordered_map<std::string, size_t> index_;
  int64_t size_ = 0;
  DeviceMemory memory_;
};

// Writes host numbers to a tensor of any floating type, converting; and back.
void upload_numbers(Device& device, Tensor dst, std::span<const double> values);
std::vector<double> download_numbers(Device& device, Tensor src);

}  // namespace mfa
