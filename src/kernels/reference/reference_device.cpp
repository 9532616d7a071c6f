// The reference device: every operation of Device as plain loops, in float or double.
//
// All sums run in double and are rounded once, so that a result in float is off by the rounding of its inputs and
// outputs only; that makes it the yardstick for the fast devices, whose tolerances then hold their own error alone.
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "kernels/device.h"
#include "kernels/reference/attention.h"
#include "kernels/reference/elementwise.h"
#include "kernels/reference/norms.h"
#include "kernels/reference/numbers.h"
#include "kernels/reference/optimizer.h"
#include "kernels/reference/paged_attention.h"
#include "kernels/reference/products.h"
#include "kernels/reference/rotary.h"

namespace mfa {
namespace {

template <class Real>
class ReferenceDevice : public Device {
 public:
  DeviceInfo info() const override { return {"reference", "plain", Precision::f32}; }
  DType real() const override { return dtype_of<Real>; }
  DType operand() const override { return dtype_of<Real>; }
  Precision precision() const override { return precision_; }
  void set_precision(Precision precision) override { precision_ = precision; }

  std::byte* allocate(size_t bytes) override {
    constexpr size_t line = 64;
    // Rounded up to whole cache lines, at least one; beyond the largest size that rounds there is no memory anyway.
    const size_t rounded = bytes > SIZE_MAX - line ? 0 : (std::max<size_t>(bytes, 1) + line - 1) / line * line;
    void* memory = rounded == 0 ? nullptr : std::aligned_alloc(line, rounded);
    if (memory == nullptr) fail("[reference] memory, got none, expected {} bytes", bytes);
    return static_cast<std::byte*>(std::memset(memory, 0, rounded));
  }
  void release(std::byte* memory) override { std::free(memory); }
  void upload(Tensor dst, const void* src) override {
    const size_t row = static_cast<size_t>(dst.cols) * size_of(dst.type);
    for (int64_t r = 0; row > 0 && r < dst.rows; ++r)
      std::memcpy(dst.slice_rows(r, 1).data, static_cast<const std::byte*>(src) + r * row, row);
  }
  void download(void* dst, Tensor src) override {
    const size_t row = static_cast<size_t>(src.cols) * size_of(src.type);
    for (int64_t r = 0; row > 0 && r < src.rows; ++r)
      std::memcpy(static_cast<std::byte*>(dst) + r * row, src.slice_rows(r, 1).data, row);
  }
  void convert(Tensor dst, Tensor src) override { reference::convert(dst, src); }
  void fill(Tensor x, double value) override { reference::fill(x, value); }

  void matmul(const MatmulArgs& args) override { reference::matmul<Real>(args, precision_); }
  void add(Tensor dst, Tensor src) override { reference::add<Real>(dst, src); }
  void scale(Tensor x, double factor) override { reference::scale<Real>(x, factor); }
  void add_bias(Tensor x, Tensor bias) override { reference::add_bias<Real>(x, bias); }
  void bias_gradient(Tensor dy, Tensor dbias) override { reference::bias_gradient<Real>(dy, dbias); }
  void copy_heads(const CopyHeadsArgs& args) override { reference::copy_heads<Real>(args); }
  void gate_forward(const GateArgs& args) override { reference::gate_forward<Real>(args); }
  void gate_backward(const GateGradArgs& args) override { reference::gate_backward<Real>(args); }
  void norm_forward(const NormArgs& args) override { reference::norm_forward<Real>(args); }
  void norm_backward(const NormGradArgs& args) override { reference::norm_backward<Real>(args); }
  void rope(const RopeArgs& args) override { reference::rope<Real>(args); }
  void swiglu_forward(Tensor gate, Tensor up, Tensor out) override { reference::swiglu_forward<Real>(gate, up, out); }
  void swiglu_backward(Tensor gate, Tensor up, Tensor dout, Tensor dgate, Tensor dup) override {
    reference::swiglu_backward<Real>(gate, up, dout, dgate, dup);
  }
  void embedding_forward(Tensor ids, Tensor table, Tensor out) override {
    reference::embedding_forward<Real>(ids, table, out);
  }
  void embedding_backward(Tensor ids, Tensor dout, Tensor dtable) override {
    reference::embedding_backward<Real>(ids, dout, dtable);
  }
  void cross_entropy(const CrossEntropyArgs& args) override { reference::cross_entropy<Real>(args); }

  void attention_forward(const AttentionArgs& args) override { reference::attention_forward<Real>(args); }
  void attention_backward(const AttentionGradArgs& args) override { reference::attention_backward<Real>(args); }
  size_t attention_scratch(const AttentionShape&) const override { return 0; }

  double sum_of_squares(Tensor x) override { return reference::sum_of_squares<Real>(x); }
  double sum(Tensor x) override { return reference::sum<Real>(x); }
  double max_value(Tensor x) override { return reference::max_value<Real>(x); }
  void adamw(const AdamWArgs& args) override { reference::adamw<Real>(args); }

  std::unique_ptr<PackedWeight> pack_weight(Tensor w, DType storage) override {
    return std::make_unique<reference::PlainWeight>(w, storage);
  }
  void linear(Tensor x, const PackedWeight& w, Tensor y) override {
    reference::linear<Real>(x, static_cast<const reference::PlainWeight&>(w), y, precision_);
  }
  std::unique_ptr<KvPool> make_kv_pool(const KvPoolSpec& spec) override {
    return std::make_unique<reference::PlainKvPool>(spec);
  }
  void kv_append(KvPool& pool, Tensor k, Tensor v, std::span<const int64_t> slots) override {
    reference::kv_append<Real>(static_cast<reference::PlainKvPool&>(pool), k, v, slots);
  }
  void attention_paged(const PagedAttentionArgs& args) override { reference::attention_paged<Real>(args); }

 private:
  Precision precision_ = Precision::f32;
};

}  // namespace

std::unique_ptr<Device> make_reference_device(DType real) {
  if (real == DType::f32) return std::make_unique<ReferenceDevice<float>>();
  if (real == DType::f64) return std::make_unique<ReferenceDevice<double>>();
  fail("[reference] number type of the device, got {}, expected f32 or f64", name_of(real));
}

}  // namespace mfa
