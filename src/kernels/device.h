// Device: the one seam between a model and the hardware. It owns memory and offers the operations that a model is made
// of. Nothing above kernels/ reads tensor memory or knows which device it runs on.
//
// Notation: rows = sequences × tokens; all tensors are row-major views (base/tensor.h). Floating tensors have the
// device's real() type unless a comment says otherwise; i32 tensors hold ids and positions. An *operand* is a tensor
// that may also be bf16, since products read it (and of attention's output, the backward pass): then it is rounded
// once, when it is written, and takes half the memory. Outputs never overlap inputs unless a comment says "in place".
// Operations run in the order of the calls.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "kernels/attention_args.h"

namespace mfa {

enum class NormKind { rms, layer };

// What products multiply in. bf16: matmul rounds both operands to bf16 and sums in f32; on paths that multiply bf16
// so do linear with bf16 weights, attention, and paged attention over a bf16 cache.
enum class Precision { f32, bf16 };

struct DeviceInfo {
  std::string name;                             // "cpu", "reference"
  std::string path;                             // instruction set in use: "avx512", "avx2", "plain"
  Precision native_precision = Precision::f32;  // the fastest one that the hardware computes itself
};

// Whether products share an operand: `first` keeps what it makes of it, for those that follow and say `again`.
enum class Reuse { no, first, again };

// c = op(a) · op(b), or c += op(a) · op(b). op(a) [m, k], op(b) [k, n], c [m, n]; a and b are operands. 2·m·k·n
// operations.
struct MatmulArgs {
  Tensor a, b, c;
  bool transpose_a = false;  // a is stored [k, m]
  bool transpose_b = false;  // b is stored [n, k], as checkpoint weights are: y = x W^T
  bool accumulate = false;
  bool same_a = false;        // a is that of the product before, unchanged since: what was made of it may serve again
  Reuse reuse_b = Reuse::no;  // again: the b of the last `first`, unchanged since
};

// y = x / rms(x) ⊙ weight (+ 0), or LayerNorm with bias. x and y [rows, groups · d], weight and bias [1, d]: each run
// of d columns is normalised by itself (d = weight.cols; groups > 1 for per-head q/k norms). y is an operand.
// statistics [rows, groups] gets 1/rms, or for LayerNorm [rows, 2·groups] gets mean and 1/sd in turn. eps is added to
// the mean square (variance). Of a residual stream, x = base + branch is written first, where these are given.
struct NormArgs {
  NormKind kind = NormKind::rms;
  Tensor x, weight, bias /* layer only, may be empty */, y, statistics;
  double eps = 1e-5;
  Tensor base = {}, branch = {};
};
struct NormGradArgs {
  NormArgs forward;               // y is not read
  Tensor dy, dx, dweight, dbias;  // dx written (may be dy, in place); dweight and dbias added to
  bool accumulate_dx = false;     // dx += instead
};

// Rotates pairs of columns of each head: (x_i, x_{i+half}) -> (x_i cos - x_{i+half} sin, x_i sin + x_{i+half}
// cos) for i < half, at columns h·head_dim + offset + i, where half = cos.cols (the half-split, "NeoX" layout). cos and
// sin [positions, half]; positions [1, rows] i32. inverse rotates by −angle: the transpose, hence the gradient. out, an
// operand, gets all n_heads · head_dim columns, those that do not turn as they are; empty: in place.
struct RopeArgs {
  Tensor x, positions, cos, sin;
  int64_t n_heads = 1, head_dim = 0, offset = 0;
  bool inverse = false;
  Tensor out = {};
};

// Copies `dim` columns of each head: dst[:, h·dst_head_dim + dst_offset + i] (=|+=) src[:, h'·src_head_dim + src_offset
// + i]. broadcast: every h' = 0 (one source head for all). reduce: every destination head is 0 and the source heads are
// summed into it (the gradient of broadcast; then the destination is overwritten by the sum, or added to with
// accumulate).
struct CopyHeadsArgs {
  Tensor src, dst;
  int64_t n_heads = 1, dim = 0;
  int64_t src_head_dim = 0, src_offset = 0, dst_head_dim = 0, dst_offset = 0;
  bool broadcast = false, reduce = false, accumulate = false;
};

// The value gate of MFA-KR: out = base + alpha ⊙ mixed. base, mixed, out [rows, groups · C]; alpha [1, C].
// An empty alpha means 1 (plain residual). Backward: dmixed = dout ⊙ alpha (written), dalpha += Σ_rows dout ⊙ mixed.
struct GateArgs {
  Tensor base, mixed, alpha, out;
};
struct GateGradArgs {
  Tensor mixed, alpha, dout, dmixed, dalpha;  // dmixed may be dout (in place)
};

// Softmax cross-entropy over rows of logits [rows, vocab], targets [1, rows] i32; a negative target is not scored.
// losses [1, rows] gets −log p(target), in nats (0 where not scored). gradient [rows, vocab], an operand, which may be
// logits (in place) or empty, gets gradient_scale · (softmax − onehot), zero for rows that are not scored; the logits
// are gone then.
struct CrossEntropyArgs {
  Tensor logits, targets, losses, gradient;
  double gradient_scale = 1;
};

// AdamW with decoupled decay (Loshchilov and Hutter, 2019), over flat tensors [1, n]; m and v are updated, then
// p −= lr · (m̂ / (sqrt(v̂) + eps) + decay · p), with bias corrections at `step` ≥ 1. g is multiplied by grad_scale
// first.
struct AdamWArgs {
  Tensor p, g, m, v;
  double lr = 0, beta1 = 0.9, beta2 = 0.95, eps = 1e-8, decay = 0, grad_scale = 1;
  int64_t step = 1;
};

// A weight in the layout that the device's inference product likes. Opaque.
class PackedWeight {
 public:
  virtual ~PackedWeight() = default;
  virtual size_t bytes() const = 0;  // what it occupies
  int64_t out = 0, in = 0;
};

class Device {
 public:
  virtual ~Device() = default;
  virtual DeviceInfo info() const = 0;
  virtual DType real() const = 0;     // f32, or f64 for the double-precision twin
  virtual DType operand() const = 0;  // what an operand is best made: bf16 if matmul would round to it, else real()
  virtual Precision precision() const = 0;
  virtual void set_precision(Precision precision) = 0;

  // --- memory -------------------------------------------------------------------------------------------------
  virtual std::byte* allocate(size_t bytes) = 0;         // zeroed, 64-byte aligned; throws Failure when there is none
  virtual void release(std::byte* memory) = 0;           // what allocate() returned
  virtual void upload(Tensor dst, const void* src) = 0;  // host, same type, rows without gaps -> device
  virtual void download(void* dst, Tensor src) = 0;      // device -> host, rows without gaps
  virtual void convert(Tensor dst, Tensor src) = 0;      // copies numbers, changing the type (f32, f64, bf16)
  virtual void fill(Tensor x, double value) = 0;

  // --- products and elementwise ---------------------------------------------------------------------------------
  virtual void matmul(const MatmulArgs& args) = 0;
  virtual void add(Tensor dst, Tensor src) = 0;             // dst += src
  virtual void scale(Tensor x, double factor) = 0;          // x *= factor
  virtual void add_bias(Tensor x, Tensor bias) = 0;         // x[r] += bias [1, cols]
  virtual void bias_gradient(Tensor dy, Tensor dbias) = 0;  // dbias += Σ_rows dy, rows in order
  virtual void copy_heads(const CopyHeadsArgs& args) = 0;
  virtual void gate_forward(const GateArgs& args) = 0;
  virtual void gate_backward(const GateGradArgs& args) = 0;
  virtual void norm_forward(const NormArgs& args) = 0;
  virtual void norm_backward(const NormGradArgs& args) = 0;
  virtual void rope(const RopeArgs& args) = 0;
  // out = silu(gate) ⊙ up, an operand.
  virtual void swiglu_forward(Tensor gate, Tensor up, Tensor out) = 0;
  // dgate and dup, operands of one type, may be gate and up (in place).
  virtual void swiglu_backward(Tensor gate, Tensor up, Tensor dout, Tensor dgate, Tensor dup) = 0;
  virtual void embedding_forward(Tensor ids, Tensor table, Tensor out) = 0;  // ids [1, rows] i32, table [vocab, width]
  virtual void embedding_backward(Tensor ids, Tensor dout, Tensor dtable) = 0;  // dtable[id] += dout rows, in row order
  virtual void cross_entropy(const CrossEntropyArgs& args) = 0;

  // --- attention (kernels/attention_args.h) --------------------------------------------------------------------
  virtual void attention_forward(const AttentionArgs& args) = 0;
  virtual void attention_backward(const AttentionGradArgs& args) = 0;
  // Scratch that a forward and backward of this shape needs, in bytes; passed in as args.scratch (u8).
  virtual size_t attention_scratch(const AttentionShape& shape) const = 0;

  // --- optimizer -----------------------------------------------------------------------------------------------
  virtual double sum_of_squares(Tensor x) = 0;  // in double, in an order that does not depend on the thread count
  virtual double sum(Tensor x) = 0;             // the same
  virtual double max_value(Tensor x) = 0;       // the largest number; NaN if any is NaN
  virtual void adamw(const AdamWArgs& args) = 0;

  // --- inference -----------------------------------------------------------------------------------------------
  // w [out, in], as checkpoints store it; stored as f32 or bf16.
  virtual std::unique_ptr<PackedWeight> pack_weight(Tensor w, DType storage) = 0;
  // y = x W^T. x [rows, in], y [rows, out]. A row's result does not depend on the number of rows. 2·rows·in·out
  // operations, in bf16 by rounding x where that is the precision (see there) and the storage.
  virtual void linear(Tensor x, const PackedWeight& w, Tensor y) = 0;
  virtual std::unique_ptr<KvPool> make_kv_pool(const KvPoolSpec& spec) = 0;
  // Writes row r of k (and v, unless the pool keeps values inside keys) at slots[r] = page · page_tokens + offset.
  virtual void kv_append(KvPool& pool, Tensor k, Tensor v, std::span<const int64_t> slots) = 0;
  virtual void attention_paged(const PagedAttentionArgs& args) = 0;
};

// An allocation that frees itself.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  DeviceMemory(Device& device, size_t bytes) : device_(&device), data_(device.allocate(bytes)), bytes_(bytes) {}
  DeviceMemory(DeviceMemory&& other) noexcept { swap(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept { return swap(other), *this; }
  ~DeviceMemory() {
    if (data_ != nullptr) device_->release(data_);
  }
  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  void swap(DeviceMemory& other) {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }
  Device* device_ = nullptr;
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

// The fast device for this machine's CPU. The environment variable MFA_CPU_PATH=avx512|avx2|plain forces a path.
std::unique_ptr<Device> make_cpu_device();
// The plain twin of every operation, in float or double; single-threaded loops that read like the equations.
std::unique_ptr<Device> make_reference_device(DType real = DType::f32);

}  // namespace mfa
