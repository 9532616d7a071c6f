// A device that hands every operation on to another one, with a word before and after each: what a device that
// measures, counts or guards is built on. Such a device overrides only what it changes.
#pragma once

#include <memory>
#include <utility>

#include "kernels/device.h"

namespace mfa {

// What an operation is for, as a report of time would group it.
enum class OperationKind {
  product,    // matmul, linear
  attention,  // attention_forward, attention_backward, attention_paged
  vector,     // all that passes over rows: norms, rotations, activations, embedding, loss, the cache's new entries
  optimizer,  // adamw and the sums that it needs
  transfer,   // upload, download, convert, fill, pack_weight
};

class ForwardingDevice : public Device {
 private:
  template <class F>
  auto during(OperationKind kind, const F& operation) {
    struct Span {
      ForwardingDevice& device;
      OperationKind kind;
      ~Span() { device.end(kind); }
    };
    begin(kind);
    const Span span{*this, kind};
    return operation();
  }

 public:
  explicit ForwardingDevice(Device& inner) : inner_(inner) {}
  explicit ForwardingDevice(std::unique_ptr<Device> inner) : owned_(std::move(inner)), inner_(*owned_) {}

  DeviceInfo info() const override { return inner_.info(); }
  DType real() const override { return inner_.real(); }
  DType operand() const override { return inner_.operand(); }
  Precision precision() const override { return inner_.precision(); }
  void set_precision(Precision precision) override { inner_.set_precision(precision); }
  std::byte* allocate(size_t bytes) override { return inner_.allocate(bytes); }
  void release(std::byte* memory) override { inner_.release(memory); }
  size_t attention_scratch(const AttentionShape& shape) const override { return inner_.attention_scratch(shape); }
  std::unique_ptr<KvPool> make_kv_pool(const KvPoolSpec& spec) override { return inner_.make_kv_pool(spec); }

  void upload(Tensor dst, const void* src) override {
    return during(OperationKind::transfer, [&] { inner_.upload(dst, src); });
  }
  void download(void* dst, Tensor src) override {
    return during(OperationKind::transfer, [&] { inner_.download(dst, src); });
  }
  void convert(Tensor dst, Tensor src) override {
    return during(OperationKind::transfer, [&] { inner_.convert(dst, src); });
  }
  void fill(Tensor x, double value) override {
    return during(OperationKind::transfer, [&] { inner_.fill(x, value); });
  }

  void matmul(const MatmulArgs& args) override {
    return during(OperationKind::product, [&] { inner_.matmul(args); });
  }
  void add(Tensor dst, Tensor src) override {
    return during(OperationKind::vector, [&] { inner_.add(dst, src); });
  }
  void scale(Tensor x, double factor) override {
    return during(OperationKind::vector, [&] { inner_.scale(x, factor); });
  }
  void add_bias(Tensor x, Tensor bias) override {
    return during(OperationKind::vector, [&] { inner_.add_bias(x, bias); });
  }
  void bias_gradient(Tensor dy, Tensor dbias) override {
    return during(OperationKind::vector, [&] { inner_.bias_gradient(dy, dbias); });
  }
  void copy_heads(const CopyHeadsArgs& args) override {
    return during(OperationKind::vector, [&] { inner_.copy_heads(args); });
  }
  void gate_forward(const GateArgs& args) override {
    return during(OperationKind::vector, [&] { inner_.gate_forward(args); });
  }
  void gate_backward(const GateGradArgs& args) override {
    return during(OperationKind::vector, [&] { inner_.gate_backward(args); });
  }
  void norm_forward(const NormArgs& args) override {
    return during(OperationKind::vector, [&] { inner_.norm_forward(args); });
  }
  void norm_backward(const NormGradArgs& args) override {
    return during(OperationKind::vector, [&] { inner_.norm_backward(args); });
  }
  void rope(const RopeArgs& args) override {
    return during(OperationKind::vector, [&] { inner_.rope(args); });
  }
  void swiglu_forward(Tensor gate, Tensor up, Tensor out) override {
    return during(OperationKind::vector, [&] { inner_.swiglu_forward(gate, up, out); });
  }
  void swiglu_backward(Tensor gate, Tensor up, Tensor dout, Tensor dgate, Tensor dup) override {
    return during(OperationKind::vector, [&] { inner_.swiglu_backward(gate, up, dout, dgate, dup); });
  }
  void embedding_forward(Tensor ids, Tensor table, Tensor out) override {
    return during(OperationKind::vector, [&] { inner_.embedding_forward(ids, table, out); });
  }
  void embedding_backward(Tensor ids, Tensor dout, Tensor dtable) override {
    return during(OperationKind::vector, [&] { inner_.embedding_backward(ids, dout, dtable); });
  }
  void cross_entropy(const CrossEntropyArgs& args) override {
    return during(OperationKind::vector, [&] { inner_.cross_entropy(args); });
  }

  void attention_forward(const AttentionArgs& args) override {
    return during(OperationKind::attention, [&] { inner_.attention_forward(args); });
  }
  void attention_backward(const AttentionGradArgs& args) override {
    return during(OperationKind::attention, [&] { inner_.attention_backward(args); });
  }

  double sum_of_squares(Tensor x) override {
    return during(OperationKind::optimizer, [&] { return inner_.sum_of_squares(x); });
  }
  double sum(Tensor x) override {
    return during(OperationKind::optimizer, [&] { return inner_.sum(x); });
  }
  double max_value(Tensor x) override {
    return during(OperationKind::optimizer, [&] { return inner_.max_value(x); });
  }
  void adamw(const AdamWArgs& args) override {
    return during(OperationKind::optimizer, [&] { inner_.adamw(args); });
  }

  std::unique_ptr<PackedWeight> pack_weight(Tensor w, DType storage) override {
    return during(OperationKind::transfer, [&] { return inner_.pack_weight(w, storage); });
  }
  void linear(Tensor x, const PackedWeight& w, Tensor y) override {
    return during(OperationKind::product, [&] { inner_.linear(x, w, y); });
  }
  void kv_append(KvPool& pool, Tensor k, Tensor v, std::span<const int64_t> slots) override {
    return during(OperationKind::vector, [&] { inner_.kv_append(pool, k, v, slots); });
  }
  void attention_paged(const PagedAttentionArgs& args) override {
    return during(OperationKind::attention, [&] { inner_.attention_paged(args); });
  }

 protected:
  // Around each operation, also one that throws.
  virtual void begin(OperationKind) {}
  virtual void end(OperationKind) {}

 private:
  std::unique_ptr<Device> owned_;
  Device& inner_;
};

}  // namespace mfa
