// Elementwise operations over rows, and sums over rows by columns. All are bound by memory: each number is read and
// written once.
#pragma once

#include "kernels/cpu/vec_math.inl.h"

namespace mfa {
namespace {

inline void add(const Tensor& dst, const Tensor& src, int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; ++r) {
    float* d = row_of(dst, r);
    const float* s = row_of(src, r);
    each_vec(dst.cols, [&](int64_t i, auto part) { store(d + i, load(d + i, part) + load(s + i, part), part); });
  }
}

inline void scale(const Tensor& x, float factor, int64_t begin, int64_t end) {
  const Vec f = splat(factor);
  for (int64_t r = begin; r < end; ++r) {
    float* p = row_of(x, r);
    each_vec(x.cols, [&](int64_t i, auto part) { store(p + i, load(p + i, part) * f, part); });
  }
}

inline void add_bias(const Tensor& x, const Tensor& bias, int64_t begin, int64_t end) {
  const float* b = row_of(bias, 0);
  for (int64_t r = begin; r < end; ++r) {
    float* p = row_of(x, r);
    each_vec(x.cols, [&](int64_t i, auto part) { store(p + i, load(p + i, part) + load(b + i, part), part); });
  }
}

inline void bias_gradient_columns(const Tensor& dy, const Tensor& dbias, int64_t begin, int64_t end) {
  float* d = row_of(dbias, 0) + begin;
  for (int64_t r = 0; r < dy.rows; ++r) {
    const float* g = row_of(dy, r) + begin;
    each_vec(end - begin, [&](int64_t i, auto part) { store(d + i, load(d + i, part) + load(g + i, part), part); });
  }
}

// A row, and the one that follows, which is fetched while this one is read: the CPU's own prefetcher stops where a page
// ends, and rows are about as long.
struct StreamedRow {
  const float *row, *next;
  template <class P>
  Vec load(int64_t i, P part) const {
    __builtin_prefetch(next + i);
    return mfa::load(row + i, part);
  }
};
inline StreamedRow streamed_row(const Tensor& x, int64_t r, int64_t end) {
  return {row_of(x, r), row_of(x, min_of(r + 1, end - 1))};
}

inline void copy_head(float* d, const float* s, int64_t dim, bool accumulate) {
  each_vec(dim, [&](int64_t i, auto part) {
    const Vec x = load(s + i, part);
    store(d + i, accumulate ? load(d + i, part) + x : x, part);
  });
}

inline void copy_heads(const CopyHeadsArgs& args, int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; ++r) {
    for (int64_t h = 0; h < args.n_heads; ++h) {
      const float* s = row_of(args.src, r) + (args.broadcast ? 0 : h) * args.src_head_dim + args.src_offset;
      float* d = row_of(args.dst, r) + (args.reduce ? 0 : h) * args.dst_head_dim + args.dst_offset;
      copy_head(d, s, args.dim, args.accumulate || (args.reduce && h > 0));
    }
  }
}

inline void gate_forward(const GateArgs& args, int64_t begin, int64_t end) {
  const bool gated = args.alpha.data != nullptr;
  const int64_t dim = gated ? args.alpha.cols : args.out.cols;
  for (int64_t r = begin; r < end; ++r) {
    for (int64_t first = 0; first < args.out.cols; first += dim) {
      const float *base = row_of(args.base, r) + first, *mixed = row_of(args.mixed, r) + first;
      float* out = row_of(args.out, r) + first;
      each_vec(dim, [&](int64_t i, auto part) {
        const Vec a = gated ? load(row_of(args.alpha, 0) + i, part) : splat(1.0f);
        store(out + i, fma(a, load(mixed + i, part), load(base + i, part)), part);
      });
    }
  }
}

inline void gate_backward(const GateGradArgs& args, int64_t begin, int64_t end) {
  const bool gated = args.alpha.data != nullptr;
  const int64_t dim = gated ? args.alpha.cols : args.dout.cols;
  for (int64_t r = begin; r < end; ++r) {
    for (int64_t first = 0; first < args.dout.cols; first += dim) {
      const float* dout = row_of(args.dout, r) + first;
      float* dmixed = row_of(args.dmixed, r) + first;
      each_vec(dim, [&](int64_t i, auto part) {
        const Vec a = gated ? load(row_of(args.alpha, 0) + i, part) : splat(1.0f);
        store(dmixed + i, a * load(dout + i, part), part);
      });
    }
  }
}

inline void gate_gradient_columns(const GateGradArgs& args, int64_t begin, int64_t end) {
  float* d = row_of(args.dalpha, 0) + begin;
  for (int64_t r = 0; r < args.dout.rows; ++r) {
    for (int64_t first = begin; first < args.dout.cols; first += args.dalpha.cols) {
      const float *dout = row_of(args.dout, r) + first, *mixed = row_of(args.mixed, r) + first;
      each_vec(end - begin, [&](int64_t i, auto part) {
        store(d + i, fma(load(dout + i, part), load(mixed + i, part), load(d + i, part)), part);
      });
    }
  }
}

template <class T>
inline void rotate(const float* x, const float* cos, const float* sin, int64_t half, float sign, T* out) {
  each_vec(half, [&](int64_t i, auto part) {
    const Vec c = load(cos + i, part), s = load(sin + i, part) * splat(sign);
    const Vec a = load(x + i, part), b = load(x + half + i, part);
    store_operand(out + i, a * c - b * s, part);
    store_operand(out + half + i, a * s + b * c, part);
  });
}

template <class T>
inline void copy_columns(const float* x, int64_t begin, int64_t end, T* out) {
  each_vec(end - begin, [&](int64_t i, auto part) { store_operand(out + begin + i, load(x + begin + i, part), part); });
}

inline void rope(const RopeArgs& args, int64_t begin, int64_t end) {
  const int64_t half = args.cos.cols, turned = args.offset + 2 * half;
  const bool in_place = args.out.data == nullptr;
  const Tensor& to = in_place ? args.x : args.out;
  with_operand(to, [&]<class T>(T*) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t position = ids_of(args.positions)[r];
      const float *cos = row_of(args.cos, position), *sin = row_of(args.sin, position), *x = row_of(args.x, r);
      T* out = row_as<T>(to, r);
      for (int64_t h = 0; h < args.n_heads; ++h, x += args.head_dim, out += args.head_dim) {
        rotate(x + args.offset, cos, sin, half, args.inverse ? -1.0f : 1.0f, out + args.offset);
        if (in_place) continue;
        copy_columns(x, 0, args.offset, out);
        copy_columns(x, turned, args.head_dim, out);
      }
    }
  });
}

template <class T>
inline void swiglu_forward_row(StreamedRow gate, StreamedRow up, T* out, int64_t n) {
  each_vec(n, [&](int64_t i, auto part) {
    const Vec x = gate.load(i, part);
    store_operand(out + i, x * sigmoid(x) * up.load(i, part), part);
  });
}

inline void swiglu_forward(const Tensor& gate, const Tensor& up, const Tensor& out, int64_t begin, int64_t end) {
  with_operand(out, [&]<class T>(T*) {
    for (int64_t r = begin; r < end; ++r)
      swiglu_forward_row(streamed_row(gate, r, end), streamed_row(up, r, end), row_as<T>(out, r), out.cols);
  });
}

// d silu(x) = s + x s (1 − s), s = sigmoid(x).
template <class T>
inline void swiglu_backward_row(StreamedRow gate, StreamedRow up, StreamedRow dout, T* dgate, T* dup, int64_t n) {
  each_vec(n, [&](int64_t i, auto part) {
    const Vec x = gate.load(i, part), y = up.load(i, part), dy = dout.load(i, part), s = sigmoid(x);
    store_operand(dgate + i, dy * y * fma(x * s, splat(1.0f) - s, s), part);
    store_operand(dup + i, dy * x * s, part);
  });
}

inline void swiglu_backward(const Tensor& gate, const Tensor& up, const Tensor& dout, const Tensor& dgate,
                            const Tensor& dup, int64_t begin, int64_t end) {
  with_operand(dgate, [&]<class T>(T*) {
    for (int64_t r = begin; r < end; ++r)
      swiglu_backward_row(streamed_row(gate, r, end), streamed_row(up, r, end), streamed_row(dout, r, end),
                          row_as<T>(dgate, r), row_as<T>(dup, r), dout.cols);
  });
}

inline void embedding_gradient_columns(const Tensor& ids, const Tensor& dout, const Tensor& dtable, int64_t begin,
                                       int64_t end) {
  for (int64_t r = 0; r < dout.rows; ++r)
    copy_head(row_of(dtable, ids_of(ids)[r]) + begin, row_of(dout, r) + begin, end - begin, true);
}

inline void exp_all(const float* x, float* y, int64_t n) {
  each_vec(n, [&](int64_t i, auto part) { store(y + i, exp(load(x + i, part)), part); });
}

inline void exp2_to_round_all(const float* x, float* y, int64_t n) {
  each_vec(n, [&](int64_t i, auto part) { store(y + i, exp2_to_round(load(x + i, part)), part); });
}

inline void round_all_to_bf16(const float* x, float* y, int64_t n) {
  each_vec(n, [&](int64_t i, auto part) { store(y + i, round_to_bf16(load(x + i, part)), part); });
}

inline void f32_to_bf16(const float* x, uint16_t* y, int64_t n) {
  each_vec(n, [&](int64_t i, auto part) { store_bf16(y + i, load(x + i, part), part); });
}

inline void bf16_to_f32(const uint16_t* x, float* y, int64_t n) {
  each_vec(n, [&](int64_t i, auto part) { store(y + i, load_bf16(x + i, part), part); });
}

}  // namespace
}  // namespace mfa
