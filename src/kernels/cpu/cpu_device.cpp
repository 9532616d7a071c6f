#include "kernels/cpu/cpu_device.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "kernels/cpu/parallel_rows.h"

namespace mfa {
namespace {

void check_ids(const char* where, const Tensor& ids, int64_t count, int64_t bound, bool allow_negative) {
  const int32_t* id = ids.ptr<int32_t>();
  for (int64_t i = 0; i < count; ++i)
    if ((id[i] < 0 && !allow_negative) || id[i] >= bound)
      bad_input("[{}] id out of range, got {}, expected less than {}", where, id[i], bound);
}

template <class To, class From>
void convert_rows(const Tensor& dst, const Tensor& src) {
  for (int64_t r = 0; r < src.rows; ++r) {
    const From* s = src.row<From>(r);
    To* d = dst.row<To>(r);
    for (int64_t c = 0; c < src.cols; ++c) {
      double x;
      if constexpr (std::is_same_v<From, bf16>)
        x = static_cast<double>(to_float(s[c]));
      else
        x = static_cast<double>(s[c]);
      if constexpr (std::is_same_v<To, bf16>)
        d[c] = to_bf16(static_cast<float>(x));
      else
        d[c] = static_cast<To>(x);
    }
  }
}

template <class To>
void convert_to(const Tensor& dst, const Tensor& src) {
  switch (src.type) {
    case DType::f32:
      return convert_rows<To, float>(dst, src);
    case DType::f64:
      return convert_rows<To, double>(dst, src);
    case DType::bf16:
      return convert_rows<To, bf16>(dst, src);
    default:
      bad_input("[convert] source type, got {}, expected f32, f64 or bf16", name_of(src.type));
  }
}

void copy_rows(std::byte* dst, int64_t dst_stride, const std::byte* src, int64_t src_stride, int64_t rows,
               int64_t bytes) {
  if (bytes == 0) return;
  for (int64_t r = 0; r < rows; ++r)
    std::memcpy(dst + r * dst_stride, src + r * src_stride, static_cast<size_t>(bytes));
}

int64_t bytes_of(const Tensor& x, int64_t numbers) { return numbers * static_cast<int64_t>(size_of(x.type)); }

// One row where the rows touch, so that the cut into blocks is even.
Tensor flat(const Tensor& x) { return x.contiguous() ? Tensor{x.data, x.type, 1, x.size(), x.size()} : x; }

}  // namespace

std::unique_ptr<Device> make_cpu_device() { return std::make_unique<CpuDevice>(); }

DeviceInfo CpuDevice::info() const {
  const bool native = kernels_.name == std::string_view("avx512");
  return {"cpu", std::string(kernels_.name), native ? Precision::bf16 : Precision::f32};
}

DType CpuDevice::operand() const { return precision_ == Precision::bf16 && gemm_.reads_bf16() ? DType::bf16 : real(); }

// --- memory ---------------------------------------------------------------------------------------------------------

void CpuDevice::upload(Tensor dst, const void* src) {
  const int64_t bytes = bytes_of(dst, dst.cols);
  copy_rows(dst.data, bytes_of(dst, dst.stride), static_cast<const std::byte*>(src), bytes, dst.rows, bytes);
}

void CpuDevice::download(void* dst, Tensor src) {
  const int64_t bytes = bytes_of(src, src.cols);
  copy_rows(static_cast<std::byte*>(dst), bytes, src.data, bytes_of(src, src.stride), src.rows, bytes);
}

void CpuDevice::convert(Tensor dst, Tensor src) {
  if (dst.rows != src.rows || dst.cols != src.cols)
    bad_input("[convert] shape, got {} x {}, expected {} x {}", src.rows, src.cols, dst.rows, dst.cols);
  over_rows(src.rows, src.cols, [&](int64_t begin, int64_t end) {
    const Tensor d = dst.slice_rows(begin, end - begin), s = src.slice_rows(begin, end - begin);
    if (d.type == s.type)
      return copy_rows(d.data, bytes_of(d, d.stride), s.data, bytes_of(s, s.stride), s.rows, bytes_of(s, s.cols));
    if (d.type == DType::bf16 && s.type == DType::f32) {
      for (int64_t r = 0; r < s.rows; ++r) kernels_.f32_to_bf16(s.row<float>(r), d.row<uint16_t>(r), s.cols);
    } else if (d.type == DType::f32 && s.type == DType::bf16) {
      for (int64_t r = 0; r < s.rows; ++r) kernels_.bf16_to_f32(s.row<uint16_t>(r), d.row<float>(r), s.cols);
    } else {
      switch (d.type) {
        case DType::f32:
          return convert_to<float>(d, s);
        case DType::f64:
          return convert_to<double>(d, s);
        case DType::bf16:
          return convert_to<bf16>(d, s);
        default:
          bad_input("[convert] type, got {}, expected f32, f64 or bf16", name_of(d.type));
      }
    }
  });
}

void CpuDevice::fill(Tensor x, double value) {
  const Tensor all = flat(x);
  const auto set = [&]<class T>(T number) {
    for (int64_t r = 0; r < all.rows; ++r)
      over_rows(all.cols, 1,
                [&](int64_t begin, int64_t end) { std::fill(all.row<T>(r) + begin, all.row<T>(r) + end, number); });
  };
  switch (x.type) {
    case DType::f32:
      return set(static_cast<float>(value));
    case DType::f64:
      return set(value);
    case DType::bf16:
      return set(to_bf16(static_cast<float>(value)));
    case DType::i32:
      return set(static_cast<int32_t>(value));
    case DType::i8:
      return set(static_cast<int8_t>(value));
    case DType::u8:
      return set(static_cast<uint8_t>(value));
    case DType::f16:
      bad_input("[fill] type, got f16, expected one that is computed in");
  }
}

// --- products and elementwise
// -----------------------------------------------------------------------------------------

void CpuDevice::matmul(const MatmulArgs& args) {
  const int64_t m = args.transpose_a ? args.a.cols : args.a.rows, k = args.transpose_a ? args.a.rows : args.a.cols;
  const int64_t b_rows = args.transpose_b ? args.b.cols : args.b.rows;
  const int64_t n = args.transpose_b ? args.b.rows : args.b.cols;
  if (m != args.c.rows || n != args.c.cols || k != b_rows)
    bad_input("[matmul] shapes, got {} x {} by {} x {} into {} x {}", m, k, b_rows, n, args.c.rows, args.c.cols);
  if (m == 0 || n == 0) return;
  if (k > 0) return gemm_.multiply(args, precision_);
  if (!args.accumulate) fill(args.c, 0);
}

void CpuDevice::add(Tensor dst, Tensor src) {
  over_rows(dst.rows, dst.cols, [&](int64_t begin, int64_t end) { kernels_.add(dst, src, begin, end); });
}

void CpuDevice::scale(Tensor x, double factor) {
  const Tensor all = flat(x);
  if (all.rows != 1) {
    over_rows(x.rows, x.cols,
              [&](int64_t begin, int64_t end) { kernels_.scale(x, static_cast<float>(factor), begin, end); });
    return;
  }
  over_columns(1, all.cols, [&](int64_t begin, int64_t end) {
    kernels_.scale(all.slice_cols(begin, end - begin), static_cast<float>(factor), 0, 1);
  });
}

void CpuDevice::add_bias(Tensor x, Tensor bias) {
  over_rows(x.rows, x.cols, [&](int64_t begin, int64_t end) { kernels_.add_bias(x, bias, begin, end); });
}

void CpuDevice::bias_gradient(Tensor dy, Tensor dbias) {
  over_columns(dy.rows, dy.cols,
               [&](int64_t begin, int64_t end) { kernels_.bias_gradient_columns(dy, dbias, begin, end); });
}

void CpuDevice::copy_heads(const CopyHeadsArgs& args) {
  over_rows(args.dst.rows, args.n_heads * args.dim,
            [&](int64_t begin, int64_t end) { kernels_.copy_heads(args, begin, end); });
}

void CpuDevice::gate_forward(const GateArgs& args) {
  over_rows(args.out.rows, args.out.cols, [&](int64_t begin, int64_t end) { kernels_.gate_forward(args, begin, end); });
}

void CpuDevice::gate_backward(const GateGradArgs& args) {
  // First the sum, since dmixed may overwrite dout.
  if (args.dalpha)
    over_columns(args.dout.size() / args.dalpha.cols, args.dalpha.cols,
                 [&](int64_t begin, int64_t end) { kernels_.gate_gradient_columns(args, begin, end); });
  over_rows(args.dout.rows, args.dout.cols,
            [&](int64_t begin, int64_t end) { kernels_.gate_backward(args, begin, end); });
}

void CpuDevice::norm_forward(const NormArgs& args) {
  over_rows(args.x.rows, args.x.cols, [&](int64_t begin, int64_t end) { kernels_.norm_forward(args, begin, end); });
}

void CpuDevice::norm_backward(const NormGradArgs& args) {
  constexpr int64_t kBlock = 64;  // rows; fixed, so that the order of summation is
  const Tensor& x = args.forward.x;
  const int64_t d = args.forward.weight.cols, blocks = (x.rows + kBlock - 1) / kBlock;
  float* sums = args.dweight || args.dbias ? scratch_.floats(static_cast<size_t>(blocks * 2 * d)) : nullptr;
  over_rows(blocks, kBlock * x.cols, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      kernels_.norm_backward(args, i * kBlock, std::min(x.rows, (i + 1) * kBlock),
                             sums != nullptr ? sums + i * 2 * d : nullptr);
  });
  const auto add_up = [&](const Tensor& gradient, int64_t first) {
    for (int64_t i = 0; gradient && i < blocks; ++i)
      kernels_.add(gradient, {reinterpret_cast<std::byte*>(sums + i * 2 * d + first), DType::f32, 1, d, d}, 0, 1);
  };
  add_up(args.dweight, 0);
  if (args.forward.kind == NormKind::layer) add_up(args.dbias, d);
}

void CpuDevice::rope(const RopeArgs& args) {
  check_ids("rope", args.positions, args.x.rows, args.cos.rows, false);
  over_rows(args.x.rows, args.n_heads * args.cos.cols * 2,
            [&](int64_t begin, int64_t end) { kernels_.rope(args, begin, end); });
}

void CpuDevice::swiglu_forward(Tensor gate, Tensor up, Tensor out) {
  over_rows(out.rows, out.cols,
            [&](int64_t begin, int64_t end) { kernels_.swiglu_forward(gate, up, out, begin, end); });
}

void CpuDevice::swiglu_backward(Tensor gate, Tensor up, Tensor dout, Tensor dgate, Tensor dup) {
  over_rows(dout.rows, dout.cols,
            [&](int64_t begin, int64_t end) { kernels_.swiglu_backward(gate, up, dout, dgate, dup, begin, end); });
}

void CpuDevice::embedding_forward(Tensor ids, Tensor table, Tensor out) {
  check_ids("embedding", ids, out.rows, table.rows, false);
  over_rows(out.rows, out.cols, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      std::memcpy(out.row<float>(r), table.row<float>(ids.ptr<int32_t>()[r]), sizeof(float) * out.cols);
  });
}

void CpuDevice::embedding_backward(Tensor ids, Tensor dout, Tensor dtable) {
  check_ids("embedding", ids, dout.rows, dtable.rows, false);
  over_columns(dout.rows, dout.cols,
               [&](int64_t begin, int64_t end) { kernels_.embedding_gradient_columns(ids, dout, dtable, begin, end); });
}

void CpuDevice::cross_entropy(const CrossEntropyArgs& args) {
  check_ids("cross entropy", args.targets, args.logits.rows, args.logits.cols, true);
  over_rows(args.logits.rows, args.logits.cols,
            [&](int64_t begin, int64_t end) { kernels_.cross_entropy(args, begin, end); });
}

// --- optimizer
// --------------------------------------------------------------------------------------------------------

template <class F>
std::span<const double> CpuDevice::over_blocks(const Tensor& x, const F& of_block) {
  constexpr int64_t kBlock = 16384;  // numbers; fixed, so that the order of summation is
  const Tensor all = flat(x);
  const int64_t blocks_a_row = (all.cols + kBlock - 1) / kBlock, blocks = all.rows * blocks_a_row;
  partials_.resize(static_cast<size_t>(std::max<int64_t>(blocks, 0)));
  over_rows(blocks, kBlock, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % blocks_a_row * kBlock;
      partials_[static_cast<size_t>(i)] =
          static_cast<double>(of_block(all.row<float>(i / blocks_a_row) + first, std::min(kBlock, all.cols - first)));
    }
  });
  return partials_;
}

double CpuDevice::sum_of_squares(Tensor x) {
  double total = 0;
  for (const double part : over_blocks(x, kernels_.sum_of_squares)) total += part;
  return total;
}

double CpuDevice::sum(Tensor x) {
  double total = 0;
  for (const double part : over_blocks(x, kernels_.sum)) total += part;
  return total;
}

double CpuDevice::max_value(Tensor x) {
  double largest = -std::numeric_limits<double>::infinity();
  for (const double part : over_blocks(x, kernels_.max_value)) {
    if (std::isnan(part)) return part;
    largest = std::max(largest, part);
  }
  return largest;
}

void CpuDevice::adamw(const AdamWArgs& args) {
  over_columns(1, args.p.cols, [&](int64_t begin, int64_t end) { kernels_.adamw(args, begin, end); });
}

}  // namespace mfa
