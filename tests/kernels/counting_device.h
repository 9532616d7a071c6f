// A device that counts what it is asked to do, by the rules of docs/capacity.md, written out here a second time: from
// the arguments of each operation and loops over its tokens, not from the formulas that capacity uses. For tests.
#pragma once

#include "kernels/forwarding_device.h"

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

// What is not listed here is not counted: memory, copies and changes of type are no arithmetic; the optimizer's work
// and the sum of losses for the log are a step's, not a token's.
class CountingDevice : public ForwardingDevice {
 public:
  using ForwardingDevice::ForwardingDevice;
  const OperationCounts& counts() const { return counts_; }
  void reset() { counts_ = {}; }

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
  void embedding_backward(Tensor ids, Tensor dout, Tensor dtable) override;
  void cross_entropy(const CrossEntropyArgs& args) override;
  void attention_forward(const AttentionArgs& args) override;
  void attention_backward(const AttentionGradArgs& args) override;
  void linear(Tensor x, const PackedWeight& w, Tensor y) override;
  void attention_paged(const PagedAttentionArgs& args) override;

 private:
  OperationCounts counts_;
};

}  // namespace mfa
