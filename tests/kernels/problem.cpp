#include "kernels/problem.h"

#include <fmt/format.h>

#include <cmath>

namespace mfa {
namespace {

using shapes::AdamWCase;
using shapes::BiasCase;
using shapes::CopyHeadsCase;
using shapes::CrossEntropyCase;
using shapes::EmbeddingCase;
using shapes::GateCase;
using shapes::MatmulCase;
using shapes::NormCase;
using shapes::RopeCase;
using shapes::SwigluCase;

Problem start(Device& device, int64_t frame) {
  Problem problem;
  problem.operands = std::make_unique<Operands>(device, 1, frame);
  return problem;
}

double root(int64_t terms) { return std::sqrt(static_cast<double>(terms)); }

// Elementwise formulas round a few times.
constexpr double elementwise = 6;

// A number rounded to bf16 is off by at most 2^-8 of it, which is 2^15 roundings of f32.
double of_operand(bool operand) { return operand ? 0x1p15 : 0; }

}  // namespace

std::string describe(const MatmulCase& c) {
  return fmt::format("matmul {}x{}x{} ta {} tb {} accumulate {} frame {} bf16 {} operands {}", c.m, c.n, c.k,
                     c.transpose_a, c.transpose_b, c.accumulate, c.frame, c.precision == Precision::bf16, c.operand);
}

// The gradients of a product are products: da = dc bᵀ and db = aᵀ dc, with transposes as a and b are stored.
Problem make_problem(Device& device, const MatmulCase& c) {
  Problem p = start(device, c.frame);
  Operands& o = *p.operands;
  const auto given = [&](int64_t rows, int64_t cols) {
    return c.operand ? o.normal_operand(rows, cols) : o.normal(rows, cols);
  };
  const Tensor a = c.transpose_a ? given(c.k, c.m) : given(c.m, c.k);
  const Tensor b = c.transpose_b ? given(c.n, c.k) : given(c.k, c.n);
  const Tensor out = o.unwritten(c.m, c.n), base = o.normal(c.m, c.n), dout = o.normal(c.m, c.n);
  const Tensor da = o.unwritten(a.rows, a.cols), db = o.unwritten(b.rows, b.cols);
  p.forward = [=, &device] {
    if (c.accumulate) device.convert(out, base);
    device.set_precision(c.precision);
    device.matmul({a, b, out, c.transpose_a, c.transpose_b, c.accumulate});
    device.set_precision(Precision::f32);
  };
  p.backward = [=, &device] {
    device.set_precision(c.precision);
    device.matmul(c.transpose_a ? MatmulArgs{b, dout, da, c.transpose_b, true}
                                : MatmulArgs{dout, b, da, false, !c.transpose_b});
    device.matmul(c.transpose_b ? MatmulArgs{dout, a, db, true, c.transpose_a}
                                : MatmulArgs{a, dout, db, !c.transpose_a, false});
    device.set_precision(Precision::f32);
  };
  p.inputs = {{"a", a, {da}}, {"b", b, {db}}};
  p.outputs = {{"c", out, dout}};
  p.results = {{"c", out, root(c.k + 1)}, {"da", da, root(c.n)}, {"db", db, root(c.m)}};
  return p;
}

std::string describe(const NormCase& c) {
  return fmt::format(
      "{} norm {} rows {} groups of {} bias {} accumulate {} in place {} frame {} operand {} residual {}",
      c.kind == NormKind::rms ? "rms" : "layer", c.rows, c.groups, c.dim, c.bias, c.accumulate_dx, c.in_place, c.frame,
      c.operand, c.residual);
}

Problem make_problem(Device& device, const NormCase& c) {
  Problem p = start(device, c.frame);
  Operands& o = *p.operands;
  const int64_t cols = c.groups * c.dim;
  constexpr double base = 0.5;
  NormArgs args;
  args.kind = c.kind;
  args.x = c.residual ? o.unwritten(c.rows, cols) : o.normal(c.rows, cols);
  if (c.residual) args.base = o.normal(c.rows, cols), args.branch = o.normal(c.rows, cols);
  args.weight = o.normal(1, c.dim);
  if (c.bias) args.bias = o.normal(1, c.dim);
  args.y = c.operand ? o.unwritten_operand(c.rows, cols) : o.unwritten(c.rows, cols);
  args.statistics = o.unwritten(c.rows, c.groups * (c.kind == NormKind::rms ? 1 : 2));
  const Tensor dy = o.normal(c.rows, cols), dx = o.unwritten(c.rows, cols);
  const Tensor dweight = o.unwritten(1, c.dim), dbias = c.bias ? o.unwritten(1, c.dim) : Tensor{};
  p.forward = [=, &device] { device.norm_forward(args); };
  p.backward = [=, &device] {
    if (c.in_place) device.convert(dx, dy);
    if (c.accumulate_dx) device.fill(dx, base);
    device.fill(dweight, base);
    if (dbias) device.fill(dbias, base);
    device.norm_backward({args, c.in_place ? dx : dy, dx, dweight, dbias, c.accumulate_dx});
  };
  p.inputs = {{"x", c.residual ? args.base : args.x, {dx}, c.accumulate_dx ? base : 0},
              {"weight", args.weight, {dweight}, base}};
  if (c.residual) p.inputs.push_back({"branch", args.branch, {dx}, c.accumulate_dx ? base : 0});
  p.outputs = {{"y", args.y, dy}};
  // 1/rms is off by the rounding of a sum of d squares of one sign, which grows with the root of d at most.
  const double sums = elementwise + root(c.dim);
  p.results = {{"y", args.y, sums + of_operand(c.operand)},
               {"statistics", args.statistics, sums},
               {"dx", dx, 2 * sums, 1},  // u and x̂ mean(u ⊙ x̂) cancel where d is small
               {"dweight", dweight, sums + root(c.rows * c.groups)}};
  if (c.residual) p.results.push_back({"x", args.x, elementwise});
  if (c.bias) {
    p.inputs.push_back({"bias", args.bias, {dbias}, base});
    p.results.push_back({"dbias", dbias, root(c.rows * c.groups)});
  }
  return p;
}

std::string describe(const RopeCase& c) {
  return fmt::format("rope {} rows {} heads of {}, {} pairs from {}, inverse {} frame {} elsewhere {} operand {}",
                     c.rows, c.n_heads, c.head_dim, c.half, c.offset, c.inverse, c.frame, c.elsewhere, c.operand);
}

Problem make_problem(Device& device, const RopeCase& c) {
  Problem p = start(device, c.frame);
  Operands& o = *p.operands;
  const int64_t cols = c.n_heads * c.head_dim, positions = 50;
  std::vector<double> cos, sin;
  for (int64_t i = 0; i < positions * c.half; ++i) {
    const double angle = o.random().uniform() * 6.28;
    cos.push_back(static_cast<float>(std::cos(angle)));
    sin.push_back(static_cast<float>(std::sin(angle)));
  }
  const Tensor source = o.normal(c.rows, cols), x = o.unwritten(c.rows, cols);
  const Tensor dout = o.normal(c.rows, cols), dx = o.unwritten(c.rows, cols);
  RopeArgs args{x,
                o.integers(o.below(c.rows, positions)),
                o.holding(positions, c.half, cos),
                o.holding(positions, c.half, sin),
                c.n_heads,
                c.head_dim,
                c.offset,
                c.inverse};
  const auto unwritten = [&] { return c.operand ? o.unwritten_operand(c.rows, cols) : o.unwritten(c.rows, cols); };
  if (c.elsewhere) args.out = unwritten();
  const Tensor out = c.elsewhere ? args.out : x, back_out = c.elsewhere ? unwritten() : Tensor{};
  p.forward = [=, &device] {
    device.convert(x, source);
    device.rope(args);
  };
  p.backward = [=, &device]() mutable {
    device.convert(dx, dout);
    RopeArgs back = args;
    back.x = dx;
    back.inverse = !args.inverse;
    back.out = back_out;
    device.rope(back);
  };
  const Tensor gradient = c.elsewhere ? back_out : dx;
  p.inputs = {{"x", source, {gradient}}};
  p.outputs = {{"rotated", out, dout}};
  p.results = {{"rotated", out, elementwise + of_operand(c.operand)},
               {"dx", gradient, elementwise + of_operand(c.operand)}};
  return p;
}

std::string describe(const CopyHeadsCase& c) {
  return fmt::format("copy {} of {} dims of {} heads, broadcast {} accumulate {} frame {}", c.dim, c.src_head_dim,
                     c.n_heads, c.broadcast, c.accumulate, c.frame);
}

// The gradient of a copy is the copy back, and that of a broadcast is the sum over heads.
Problem make_problem(Device& device, const CopyHeadsCase& c) {
  Problem p = start(device, c.frame);
  Operands& o = *p.operands;
  const int64_t src_cols = (c.broadcast ? 1 : c.n_heads) * c.src_head_dim, dst_cols = c.n_heads * c.dst_head_dim;
  const Tensor src = o.normal(c.rows, src_cols), dst = o.unwritten(c.rows, dst_cols);
  const Tensor dst_before = o.normal(c.rows, dst_cols);
  const Tensor dout = o.normal(c.rows, dst_cols), dsrc = o.unwritten(c.rows, src_cols);
  p.forward = [=, &device] {
    device.convert(dst, dst_before);
    device.copy_heads({src, dst, c.n_heads, c.dim, c.src_head_dim, c.src_offset, c.dst_head_dim, c.dst_offset,
                       c.broadcast, false, c.accumulate});
  };
  p.backward = [=, &device] {
    device.fill(dsrc, 0);  // columns that are not copied have no gradient
    device.copy_heads({dout, dsrc, c.n_heads, c.dim, c.dst_head_dim, c.dst_offset, c.src_head_dim, c.src_offset, false,
                       c.broadcast, c.accumulate});
  };
  p.inputs = {{"src", src, {dsrc}}};
  p.outputs = {{"dst", dst, dout}};
  p.results = {{"dst", dst, elementwise}, {"dsrc", dsrc, root(c.n_heads)}};
  return p;
}

std::string describe(const GateCase& c) {
  return fmt::format("gate {} rows {} groups of {} alpha {} in place {} frame {}", c.rows, c.groups, c.dim, c.alpha,
                     c.in_place, c.frame);
}

Problem make_problem(Device& device, const GateCase& c) {
  Problem p = start(device, c.frame);
  Operands& o = *p.operands;
  const int64_t cols = c.groups * c.dim;
  constexpr double base = 0.5;
  const Tensor from = o.normal(c.rows, cols), mixed = o.normal(c.rows, cols), out = o.unwritten(c.rows, cols);
  const Tensor alpha = c.alpha ? o.normal(1, c.dim) : Tensor{}, dalpha = c.alpha ? o.unwritten(1, c.dim) : Tensor{};
  const Tensor dout = o.normal(c.rows, cols), dmixed = o.unwritten(c.rows, cols);
  p.forward = [=, &device] { device.gate_forward({from, mixed, alpha, out}); };
  p.backward = [=, &device] {
    if (c.in_place) device.convert(dmixed, dout);
    if (dalpha) device.fill(dalpha, base);
    device.gate_backward({mixed, alpha, c.in_place ? dmixed : dout, dmixed, dalpha});
  };
  p.inputs = {{"mixed", mixed, {dmixed}}};
  p.outputs = {{"out", out, dout}};
  p.results = {{"out", out, elementwise}, {"dmixed", dmixed, elementwise}};
  if (c.alpha) {
    p.inputs.push_back({"alpha", alpha, {dalpha}, base});
    p.results.push_back({"dalpha", dalpha, elementwise + root(c.rows * c.groups)});
  }
  return p;
}

std::string describe(const SwigluCase& c) {
  return fmt::format("swiglu {}x{} in place {} frame {} spread {} operand {}", c.rows, c.cols, c.in_place, c.frame,
                     c.spread, c.operand);
}

Problem make_problem(Device& device, const SwigluCase& c) {
  Problem p = start(device, c.frame);
  Operands& o = *p.operands;
  const Tensor gate = o.normal(c.rows, c.cols, c.spread), up = o.normal(c.rows, c.cols);
  const auto unwritten = [&] { return c.operand ? o.unwritten_operand(c.rows, c.cols) : o.unwritten(c.rows, c.cols); };
  const Tensor out = unwritten(), dout = o.normal(c.rows, c.cols), dgate = unwritten(), dup = unwritten();
  p.forward = [=, &device] { device.swiglu_forward(gate, up, out); };
  p.backward = [=, &device] {
    if (c.in_place) {
      device.convert(dgate, gate);
      device.convert(dup, up);
    }
    device.swiglu_backward(c.in_place ? dgate : gate, c.in_place ? dup : up, dout, dgate, dup);
  };
  p.inputs = {{"gate", gate, {dgate}}, {"up", up, {dup}}};
  p.outputs = {{"out", out, dout}};
  const double rounded = elementwise + of_operand(c.operand);
  p.results = {{"out", out, rounded}, {"dgate", dgate, elementwise + rounded}, {"dup", dup, rounded}};
  return p;
}

std::string describe(const EmbeddingCase& c) {
  return fmt::format("embedding {} rows of {}x{} frame {}", c.rows, c.vocab, c.width, c.frame);
}

Problem make_problem(Device& device, const EmbeddingCase& c) {
  Problem p = start(device, c.frame);
  Operands& o = *p.operands;
  constexpr double base = 0.5;
  const Tensor table = o.normal(c.vocab, c.width), ids = o.integers(o.below(c.rows, c.vocab));
  const Tensor out = o.unwritten(c.rows, c.width), dout = o.normal(c.rows, c.width);
  const Tensor dtable = o.unwritten(c.vocab, c.width);
  p.forward = [=, &device] { device.embedding_forward(ids, table, out); };
  p.backward = [=, &device] {
    device.fill(dtable, base);
    device.embedding_backward(ids, dout, dtable);
  };
  p.inputs = {{"table", table, {dtable}, base}};
  p.outputs = {{"out", out, dout}};
  p.results = {{"out", out, 0}, {"dtable", dtable, root(c.rows)}};
  return p;
}

std::string describe(const BiasCase& c) { return fmt::format("bias {}x{} frame {}", c.rows, c.cols, c.frame); }

Problem make_problem(Device& device, const BiasCase& c) {
  Problem p = start(device, c.frame);
  Operands& o = *p.operands;
  constexpr double base = 0.5, factor = 0.7;
  const Tensor x = o.normal(c.rows, c.cols), bias = o.normal(1, c.cols), out = o.unwritten(c.rows, c.cols);
  const Tensor dout = o.normal(c.rows, c.cols), dx = o.unwritten(c.rows, c.cols), dbias = o.unwritten(1, c.cols);
  p.forward = [=, &device] {  // out = factor · x + bias
    device.fill(out, 0);
    device.add(out, x);
    device.scale(out, factor);
    device.add_bias(out, bias);
  };
  p.backward = [=, &device] {
    device.convert(dx, dout);
    device.scale(dx, factor);
    device.fill(dbias, base);
    device.bias_gradient(dout, dbias);
  };
  p.inputs = {{"x", x, {dx}}, {"bias", bias, {dbias}, base}};
  p.outputs = {{"out", out, dout}};
  p.results = {{"out", out, elementwise}, {"dx", dx, elementwise}, {"dbias", dbias, root(c.rows)}};
  return p;
}

std::string describe(const CrossEntropyCase& c) {
  return fmt::format("cross-entropy {} rows of {}, unscored {} frame {} spread {} operand {}", c.rows, c.vocab,
                     c.unscored, c.frame, c.spread, c.operand);
}

Problem make_problem(Device& device, const CrossEntropyCase& c) {
  Problem p = start(device, c.frame);
  Operands& o = *p.operands;
  std::vector<int32_t> targets = o.below(c.rows, c.vocab);
  for (int64_t r = 0; c.unscored && r < c.rows; r += 3) targets[r] = -1;
  constexpr double gradient_scale = 0.25;
  const Tensor logits = o.normal(c.rows, c.vocab, c.spread), work = o.unwritten(c.rows, c.vocab);
  const Tensor ids = o.integers(targets), losses = o.unwritten(1, c.rows), again = o.unwritten(1, c.rows);
  const Tensor dlosses = o.constant(1, c.rows, gradient_scale), second = o.unwritten(c.rows, c.vocab);
  const Tensor dlogits = c.operand ? o.unwritten_operand(c.rows, c.vocab) : second;  // in place
  p.forward = [=, &device] {
    device.convert(work, logits);
    device.cross_entropy({work, ids, losses});
  };
  p.backward = [=, &device] {
    device.convert(second, logits);
    device.cross_entropy({second, ids, again, dlogits, gradient_scale});
  };
  p.inputs = {{"logits", logits, {dlogits}}};
  p.outputs = {{"losses", losses, dlosses}};
  // A probability's relative error is the absolute error of its logit, |z| in units of the last place; and the loss is
  // a difference of numbers of that size.
  const double sums = elementwise + root(c.vocab) + 5 * c.spread;
  p.results = {{"losses", losses, sums},
               {"losses beside the gradient", again, sums},
               {"dlogits", dlogits, sums + of_operand(c.operand)}};
  return p;
}

std::string describe(const AdamWCase& c) {
  return fmt::format("adamw {} numbers {} steps decay {}", c.numbers, c.steps, c.decay);
}

Problem make_problem(Device& device, const AdamWCase& c) {
  Problem p = start(device, 0);
  Operands& o = *p.operands;
  const Tensor parameters = o.normal(1, c.numbers), m = o.constant(1, c.numbers, 0), v = o.constant(1, c.numbers, 0);
  std::vector<Tensor> gradients;
  for (int64_t step = 0; step < c.steps; ++step) gradients.push_back(o.normal(1, c.numbers));
  p.forward = [=, &device] {
    for (int64_t step = 1; step <= c.steps; ++step) {
      AdamWArgs args{parameters, gradients[step - 1], m, v};
      args.lr = 1e-2;
      args.decay = c.decay;
      args.grad_scale = 0.3;
      args.step = step;
      device.adamw(args);
    }
  };
  p.backward = [] {};
  const double rounded = elementwise * static_cast<double>(c.steps);
  p.results = {{"p", parameters, rounded}, {"m", m, rounded}, {"v", v, rounded}};
  return p;
}

}  // namespace mfa
