// A device whose memory cannot be read or written outside of its operations: code above kernels/ that dereferences a
// tensor dies at once (SIGSEGV), as it would with memory that lives on a GPU. For tests of every room.
#pragma once

#include <map>
#include <memory>

#include "kernels/device.h"

namespace mfa {

// Wraps any device. Each allocation has pages of its own, inaccessible but while an operation of the inner device runs;
// the inner device's packed weights and KV pools are opaque and not guarded. One mprotect an allocation and operation:
// keep allocations few. Not thread-safe, as Device is not.
class GuardedDevice : public Device {
 public:
  explicit GuardedDevice(std::unique_ptr<Device> inner) : inner_(std::move(inner)) {}
  GuardedDevice(const GuardedDevice&) = delete;
  GuardedDevice& operator=(const GuardedDevice&) = delete;
  ~GuardedDevice() override;

  DeviceInfo info() const override { return inner_->info(); }
  DType real() const override { return inner_->real(); }
  Precision precision() const override { return inner_->precision(); }
  void set_precision(Precision precision) override { inner_->set_precision(precision); }

  std::byte* allocate(size_t bytes) override;
  void release(std::byte* memory) override;
  void upload(Tensor dst, const void* src) override;
  void download(void* dst, Tensor src) override;
  void convert(Tensor dst, Tensor src) override;
  void fill(Tensor x, double value) override;

  void matmul(const MatmulArgs& args) override;
  void add(Tensor dst, Tensor src) override;
  void scale(Tensor x, double factor) override;
  void add_bias(Tensor x, Tensor bias) override;
  void bias_gradient(Tensor dy, Tensor dbias) override;
  void copy_heads(const CopyHeadsArgs& args) override;
  void gate_forward(const GateArgs& args) override;
  void gate_backward(const GateGradArgs& args) override;
  void norm_forward(const NormArgs& args) override;
  void norm_backward(const NormGradArgs& args) override;
  void rope(const RopeArgs& args) override;
  void swiglu_forward(Tensor gate, Tensor up, Tensor out) override;
  void swiglu_backward(Tensor gate, Tensor up, Tensor dout, Tensor dgate, Tensor dup) override;
  void embedding_forward(Tensor ids, Tensor table, Tensor out) override;
  void embedding_backward(Tensor ids, Tensor dout, Tensor dtable) override;
  void cross_entropy(const CrossEntropyArgs& args) override;

  void attention_forward(const AttentionArgs& args) override;
  void attention_backward(const AttentionGradArgs& args) override;
  size_t attention_scratch(const AttentionShape& shape) const override { return inner_->attention_scratch(shape); }

  double sum_of_squares(Tensor x) override;
  double sum(Tensor x) override;
  double max_value(Tensor x) override;
  void adamw(const AdamWArgs& args) override;

  std::unique_ptr<PackedWeight> pack_weight(Tensor w, DType storage) override;
  void linear(Tensor x, const PackedWeight& w, Tensor y) override;
  std::unique_ptr<KvPool> make_kv_pool(const KvPoolSpec& spec) override;
  void kv_append(KvPool& pool, Tensor k, Tensor v, std::span<const int64_t> slots) override;
  void attention_paged(const PagedAttentionArgs& args) override;

 private:
  class Unlock;
  void protect(int protection) const;

  std::unique_ptr<Device> inner_;
  std::map<std::byte*, size_t> allocations_;  // start of the pages -> their bytes
};

std::unique_ptr<Device> make_guarded_device(std::unique_ptr<Device> inner);

}  // namespace mfa
