// The fast device. Portable code: it checks shapes, cuts the work into pieces for the thread team, and calls the serial
// kernels of the path that it chose.
#pragma once

#include "kernels/cpu/angle_table.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/memory.h"

namespace mfa {

class CpuDevice final : public Device {
 public:
  CpuDevice() : kernels_(choose_kernels()), gemm_(kernels_) {}

  DeviceInfo info() const override;
  DType real() const override { return DType::f32; }
  DType operand() const override;
  Precision precision() const override { return precision_; }
  void set_precision(Precision precision) override { precision_ = precision; }

  std::byte* allocate(size_t bytes) override { return heap_.allocate(bytes); }
  void release(std::byte* memory) override { heap_.release(memory); }
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
  size_t attention_scratch(const AttentionShape& shape) const override;

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
  // Σ or max over blocks of x that do not depend on the threads; block results in `partials_`, in order.
  template <class F>
  std::span<const double> over_blocks(const Tensor& x, const F& of_block);
  bool multiplies_bf16() const { return precision_ == Precision::bf16 && kernels_.bf16_products; }
  Tensor rounded_rows(Tensor x);
  void paged_apart(const PagedAttentionArgs& args);
  void finish_piece(const PagedPiece& piece);
  const uint16_t* paged_angles(const PagedAttentionArgs& args);
  void paged_together(const PagedAttentionArgs& args);

  const KernelTable& kernels_;
  Precision precision_ = Precision::f32;
  Heap heap_;
  Gemm gemm_;
  Scratch scratch_, states_;
  AngleTable angles_;
  std::vector<double> partials_;
  std::vector<int64_t> packed_group_;  // attention_forward: whose keys each thread's scratch holds
  std::vector<PagedPiece> paged_pieces_;
  // Splits done apart: of which pieces, whether folded (PagedPiece::folded), and the last one that each thread has
  // done.
  struct SplitTask {
    size_t piece;
    int64_t split;
  };
  std::vector<SplitTask> split_tasks_;
  std::vector<uint8_t> split_folded_;
  std::vector<int64_t> last_split_;
};

}  // namespace mfa
