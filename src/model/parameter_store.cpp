#include "model/parameter_store.h"

#include <cassert>

namespace mfa {

ParameterStore::ParameterStore(Device& device, const ModelConfig& config)
    : ParameterStore(device, parameter_table(config)) {}

ParameterStore::ParameterStore(Device& device, std::vector<ParameterSpec> table)
    : device_(&device), table_(std::move(table)) {
  assert(!table_.empty());
  for (size_t i = 0; i < table_.size(); ++i) index_[table_[i].name] = i;
  size_ = table_.back().offset + table_.back().size();
  memory_ = DeviceMemory(device, static_cast<size_t>(size_) * size_of(device.real()));
}

Tensor ParameterStore::view(const ParameterSpec& spec) const {
  return {memory_.data() + spec.offset * static_cast<int64_t>(size_of(device_->real())), device_->real(), spec.rows,
          spec.cols, spec.cols};
}

Tensor ParameterStore::span(const std::string& first, const std::string& last) const {
  const ParameterSpec &a = spec(first), &b = spec(last);
  const int64_t numbers = b.offset + b.size() - a.offset;
  const int64_t cols = a.vector ? numbers : a.cols;
  assert(numbers % cols == 0);
  return {view(a).data, device_->real(), numbers / cols, cols, cols};
}

std::vector<double> ParameterStore::download_f64(const ParameterSpec& spec) const {
  return download_numbers(*device_, view(spec));
}

void ParameterStore::upload_f64(const ParameterSpec& spec, std::span<const double> values) {
  upload_numbers(*device_, view(spec), values);
}

std::vector<float> ParameterStore::download(const ParameterSpec& spec) const {
  std::vector<float> values(static_cast<size_t>(spec.size()));
  if (device_->real() == DType::f32) {
    device_->download(values.data(), view(spec));
  } else {
    const std::vector<double> numbers = download_f64(spec);
    values.assign(numbers.begin(), numbers.end());
  }
  return values;
}

void ParameterStore::upload(const ParameterSpec& spec, std::span<const float> values) {
  assert(static_cast<int64_t>(values.size()) == spec.size());
  if (device_->real() == DType::f32)
    device_->upload(view(spec), values.data());
  else
    upload_f64(spec, std::vector<double>(values.begin(), values.end()));
}

void upload_numbers(Device& device, Tensor dst, std::span<const double> values) {
  assert(static_cast<int64_t>(values.size()) == dst.size());
  if (dst.type == DType::f64) {
    device.upload(dst, values.data());
  } else {
    const std::vector<float> floats(values.begin(), values.end());
    device.upload(dst, floats.data());
  }
}

std::vector<double> download_numbers(Device& device, Tensor src) {
  const auto n = static_cast<size_t>(src.size());
  std::vector<double> values(n);
  if (src.type == DType::f64) {
    device.download(values.data(), src);
  } else {
    std::vector<float> floats(n);
    device.download(floats.data(), src);
    values.assign(floats.begin(), floats.end());
  }
  return values;
}

}  // namespace mfa
