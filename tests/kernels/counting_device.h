// A device that counts what it is asked to do, by the rules of docs/capacity.md, written out here a second time: from
// the arguments of each operation and loops over its tokens, not from the formulas that capacity uses. For tests.
#pragma once

#include <array>
#include <memory>
#include <string_view>

#include "kernels/device.h"

namespace mfa {

// FLOPs of all operations since the last reset(). Whole numbers.
struct OperationCounts {
  double products = 0, core = 0, softmax = 0, rotation = 0, norms = 0, biases = 0, activations = 0;
  double additions = 0;  // add, gates of MFA-KR, gradients summed over rows or heads
  double loss = 0;
  double total() const {
    return products + core + softmax + rotation + norms + biases + activations + additions + loss;
  }
};

class CountingDevice : public Device {
 public:
  explicit CountingDevice(std::unique_ptr<Device> inner) : inner_(std::move(inner)) {}
  const OperationCounts& counts() const { return counts_; }
  void reset() { counts_ = {}; }

  DeviceInfo info() const override { return inner_->info(); }
  DType real() const override { return inner_->real(); }
  Precision precision() const override { return inner_->precision(); }
  void set_precision(Precision precision) override { inner_->set_precision(precision); }

  // Memory, copies and changes of type are no arithmetic.
  std::byte* allocate(size_t bytes) override { return inner_->allocate(bytes); }
  void release(std::byte* memory) override { inner_->release(memory); }
  void upload(Tensor dst, const void* src) override { inner_->upload(dst, src); }
  void download(void* dst, Tensor src) override { inner_->download(dst, src); }
  void convert(Tensor dst, Tensor src) override { inner_->convert(dst, src); }
  void fill(Tensor x, double value) override { inner_->fill(x, value); }

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
  void embedding_forward(Tensor ids, Tensor table, Tensor out) override { inner_->embedding_forward(ids, table, out); }
  void embedding_backward(Tensor ids, Tensor dout, Tensor dtable) override;
  void cross_entropy(const CrossEntropyArgs& args) override;

  void attention_forward(const AttentionArgs& args) override;
  void attention_backward(const AttentionGradArgs& args) override;
  size_t attention_scratch(const AttentionShape& shape) const override { return inner_->attention_scratch(shape); }

  // Work of a step, not of a token: the optimizer's, and the sum of losses for the log.
  double sum_of_squares(Tensor x) override { return inner_->sum_of_squares(x); }
  double sum(Tensor x) override { return inner_->sum(x); }
  double max_value(Tensor x) override { return inner_->max_value(x); }
  void adamw(const AdamWArgs& args) override { inner_->adamw(args); }

  std::unique_ptr<PackedWeight> pack_weight(Tensor w, DType storage) override {
    return inner_->pack_weight(w, storage);
  }
  void linear(Tensor x, const PackedWeight& w, Tensor y) override;
  std::unique_ptr<KvPool> make_kv_pool(const KvPoolSpec& spec) override { return inner_->make_kv_pool(spec); }
  void kv_append(KvPool& pool, Tensor k, Tensor v, std::span<const int64_t> slots) override {
    inner_->kv_append(pool, k, v, slots);
  }
  void attention_paged(const PagedAttentionArgs& args) override;

 private:
  std::unique_ptr<Device> inner_;
  OperationCounts counts_;
};

}  // namespace mfa
