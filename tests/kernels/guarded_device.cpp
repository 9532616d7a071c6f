#include "kernels/guarded_device.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/error.h"

namespace mfa {

// Memory is open for the life of this object, also when the operation throws.
class GuardedDevice::Unlock {
 public:
  explicit Unlock(const GuardedDevice& device) : device_(device) { device_.protect(PROT_READ | PROT_WRITE); }
  Unlock(const Unlock&) = delete;
  Unlock& operator=(const Unlock&) = delete;
  ~Unlock() { device_.protect(PROT_NONE); }

 private:
  const GuardedDevice& device_;
};

void GuardedDevice::protect(int protection) const {
  for (const auto& [memory, bytes] : allocations_)
    if (mprotect(memory, bytes, protection) != 0) std::terminate();  // a guard that does not hold must not go unseen
}

GuardedDevice::~GuardedDevice() {
  for (const auto& [memory, bytes] : allocations_) munmap(memory, bytes);
}

// Fresh pages are zero, and aligned to more than 64 bytes.
std::byte* GuardedDevice::allocate(size_t bytes) {
  const size_t size = std::max<size_t>(bytes, 1);
  void* memory = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail("[guarded device] memory, got none, expected {} bytes", bytes);
  return allocations_.emplace(static_cast<std::byte*>(memory), size).first->first;
}

void GuardedDevice::release(std::byte* memory) {
  const auto found = allocations_.find(memory);
  if (found == allocations_.end()) std::terminate();
  munmap(found->first, found->second);
  allocations_.erase(found);
}

void GuardedDevice::upload(Tensor dst, const void* src) {
  const Unlock unlock(*this);
  inner_->upload(dst, src);
}
void GuardedDevice::download(void* dst, Tensor src) {
  const Unlock unlock(*this);
  inner_->download(dst, src);
}
void GuardedDevice::convert(Tensor dst, Tensor src) {
  const Unlock unlock(*this);
  inner_->convert(dst, src);
}
void GuardedDevice::fill(Tensor x, double value) {
  const Unlock unlock(*this);
  inner_->fill(x, value);
}
void GuardedDevice::matmul(const MatmulArgs& args) {
  const Unlock unlock(*this);
  inner_->matmul(args);
}
void GuardedDevice::add(Tensor dst, Tensor src) {
  const Unlock unlock(*this);
  inner_->add(dst, src);
}
void GuardedDevice::scale(Tensor x, double factor) {
  const Unlock unlock(*this);
  inner_->scale(x, factor);
}
void GuardedDevice::add_bias(Tensor x, Tensor bias) {
  const Unlock unlock(*this);
  inner_->add_bias(x, bias);
}
void GuardedDevice::bias_gradient(Tensor dy, Tensor dbias) {
  const Unlock unlock(*this);
  inner_->bias_gradient(dy, dbias);
}
void GuardedDevice::copy_heads(const CopyHeadsArgs& args) {
  const Unlock unlock(*this);
  inner_->copy_heads(args);
}
void GuardedDevice::gate_forward(const GateArgs& args) {
  const Unlock unlock(*this);
  inner_->gate_forward(args);
}
void GuardedDevice::gate_backward(const GateGradArgs& args) {
  const Unlock unlock(*this);
  inner_->gate_backward(args);
}
void GuardedDevice::norm_forward(const NormArgs& args) {
  const Unlock unlock(*this);
  inner_->norm_forward(args);
}
void GuardedDevice::norm_backward(const NormGradArgs& args) {
  const Unlock unlock(*this);
  inner_->norm_backward(args);
}
void GuardedDevice::rope(const RopeArgs& args) {
  const Unlock unlock(*this);
  inner_->rope(args);
}
void GuardedDevice::swiglu_forward(Tensor gate, Tensor up, Tensor out) {
  const Unlock unlock(*this);
  inner_->swiglu_forward(gate, up, out);
}
void GuardedDevice::swiglu_backward(Tensor gate, Tensor up, Tensor dout, Tensor dgate, Tensor dup) {
  const Unlock unlock(*this);
  inner_->swiglu_backward(gate, up, dout, dgate, dup);
}
void GuardedDevice::embedding_forward(Tensor ids, Tensor table, Tensor out) {
  const Unlock unlock(*this);
  inner_->embedding_forward(ids, table, out);
}
void GuardedDevice::embedding_backward(Tensor ids, Tensor dout, Tensor dtable) {
  const Unlock unlock(*this);
  inner_->embedding_backward(ids, dout, dtable);
}
void GuardedDevice::cross_entropy(const CrossEntropyArgs& args) {
  const Unlock unlock(*this);
  inner_->cross_entropy(args);
}
void GuardedDevice::attention_forward(const AttentionArgs& args) {
  const Unlock unlock(*this);
  inner_->attention_forward(args);
}
void GuardedDevice::attention_backward(const AttentionGradArgs& args) {
  const Unlock unlock(*this);
  inner_->attention_backward(args);
}
double GuardedDevice::sum_of_squares(Tensor x) {
  const Unlock unlock(*this);
  return inner_->sum_of_squares(x);
}
double GuardedDevice::sum(Tensor x) {
  const Unlock unlock(*this);
  return inner_->sum(x);
}
double GuardedDevice::max_value(Tensor x) {
  const Unlock unlock(*this);
  return inner_->max_value(x);
}
void GuardedDevice::adamw(const AdamWArgs& args) {
  const Unlock unlock(*this);
  inner_->adamw(args);
}
std::unique_ptr<PackedWeight> GuardedDevice::pack_weight(Tensor w, DType storage) {
  const Unlock unlock(*this);
  return inner_->pack_weight(w, storage);
}
void GuardedDevice::linear(Tensor x, const PackedWeight& w, Tensor y) {
  const Unlock unlock(*this);
  inner_->linear(x, w, y);
}
std::unique_ptr<KvPool> GuardedDevice::make_kv_pool(const KvPoolSpec& spec) { return inner_->make_kv_pool(spec); }
void GuardedDevice::kv_append(KvPool& pool, Tensor k, Tensor v, std::span<const int64_t> slots) {
  const Unlock unlock(*this);
  inner_->kv_append(pool, k, v, slots);
}
void GuardedDevice::attention_paged(const PagedAttentionArgs& args) {
  const Unlock unlock(*this);
  inner_->attention_paged(args);
}

std::unique_ptr<Device> make_guarded_device(std::unique_ptr<Device> inner) {
  return std::make_unique<GuardedDevice>(std::move(inner));
}

}  // namespace mfa
