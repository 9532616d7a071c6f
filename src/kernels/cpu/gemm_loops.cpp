// The training product without a library, for builds that a sanitizer must see through: our register tile over packed
// blocks of B.
#include <algorithm>
#include <functional>

#include "base/error.h"
#include "base/progress.h"
#include "base/thread_team.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/memory.h"

namespace mfa {
namespace {

constexpr int64_t kDepth = 256, kColumns = 256;  // a packed block of B: 256 KiB, in the L2 cache

}  // namespace

struct Gemm::Engine {
  const KernelTable& kernels;
  Scratch packed, result, rounded_a, rounded_b;

  // An operand as f32, rounded to bf16 if the precision is that.
  Tensor as_floats(const Tensor& x, Precision precision, Scratch& scratch) {
    if (x.type == DType::f32 && precision == Precision::f32) return x;
    Tensor out{nullptr, DType::f32, x.rows, x.cols, x.cols};
    out.data = reinterpret_cast<std::byte*>(scratch.floats(static_cast<size_t>(x.size())));
    for (int64_t r = 0; r < x.rows; ++r) {
      if (x.type == DType::bf16)
        kernels.bf16_to_f32(x.row<uint16_t>(r), out.row<float>(r), x.cols);
      else
        kernels.round_to_bf16(x.row<float>(r), out.row<float>(r), x.cols);
    }
    return out;
  }

  // Block [p0, p0 + depth) × [j0, j0 + columns) of op(b), padded with zeros to whole vectors.
  void pack(const Tensor& b, bool transpose, int64_t p0, int64_t depth, int64_t j0, int64_t columns, int64_t width,
            float* out) {
    const float* data = b.ptr<float>();
    for (int64_t p = 0; p < depth; ++p) {
      for (int64_t j = 0; j < width; ++j) {
        const int64_t at = transpose ? (j0 + j) * b.stride + p0 + p : (p0 + p) * b.stride + j0 + j;
        out[p * width + j] = j < columns ? data[at] : 0.0f;
      }
    }
  }
};

Gemm::Gemm(const KernelTable& kernels) : engine_(new Engine{.kernels = kernels}) {}
Gemm::~Gemm() = default;
bool Gemm::reads_bf16() const { return false; }

void Gemm::multiply(const MatmulArgs& args, Precision precision) {
  Engine& e = *engine_;
  if (precision == Precision::bf16)
    warn_once("this build has no bf16 products: --precision bf16 is emulated, and f32 is faster");
  const Tensor a = e.as_floats(args.a, precision, e.rounded_a), b = e.as_floats(args.b, precision, e.rounded_b);
  const int64_t m = args.c.rows, n = args.c.cols, k = args.transpose_a ? a.rows : a.cols;
  const int64_t a_row = args.transpose_a ? 1 : a.stride, a_k = args.transpose_a ? a.stride : 1;
  float* packed = e.packed.floats(kDepth * kColumns);
  float* result = e.result.floats(static_cast<size_t>(m * kColumns));
  for (int64_t j0 = 0; j0 < n; j0 += kColumns) {
    const int64_t columns = std::min(kColumns, n - j0);
    const int64_t width = (columns + e.kernels.lanes - 1) / e.kernels.lanes * e.kernels.lanes;
    for (int64_t p0 = 0; p0 < k; p0 += kDepth) {
      const int64_t depth = std::min(kDepth, k - p0);
      e.pack(b, args.transpose_b, p0, depth, j0, columns, width, packed);
      const auto body = [&](int64_t begin, int64_t end) {
        e.kernels.tile_product({.m = end - begin,
                                .n = width,
                                .k = depth,
                                .a = a.ptr<float>() + begin * a_row + p0 * a_k,
                                .a_row = a_row,
                                .a_k = a_k,
                                .b = packed,
                                .b_row = width,
                                .c = result + begin * width,
                                .c_row = width,
                                .add = p0 > 0});
      };
      parallel_for(m, std::ref(body));
    }
    const auto finish = [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        float* c = args.c.row<float>(i) + j0;
        for (int64_t j = 0; j < columns; ++j)
          c[j] = args.accumulate ? c[j] + result[i * width + j] : result[i * width + j];
      }
    };
    parallel_for(m, std::ref(finish));
  }
}

bool has_int8_product() { return false; }

void multiply_int8(int64_t, int64_t, int64_t, const uint8_t*, const int8_t*, int32_t*) {
  fail("[matmul] this build has no 8-bit product");
}

}  // namespace mfa
