#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/problem.h"

namespace mfa {
namespace {

using shapes::AttentionCase;

AttentionShape shape_of(const AttentionCase& c) {
  AttentionShape shape;
  shape.sequences = c.sequences;
  shape.tokens = c.tokens;
  shape.n_heads = c.n_heads;
  shape.kv_heads = c.kv_heads;
  shape.key_dim = c.key_dim;
  shape.value_dim = c.value_dim;
  shape.window = c.window;
  shape.scale = 1 / std::sqrt(static_cast<double>(c.key_dim));
  return shape;
}

// Documents begin at random tokens; the first begins at token 0.
std::vector<int32_t> document_starts(const AttentionCase& c, Random& random) {
  std::vector<int32_t> starts;
  for (int64_t s = 0; s < c.sequences; ++s)
    for (int32_t t = 0, start = 0; t < c.tokens; ++t) starts.push_back(start = random.below(8) == 0 ? t : start);
  return starts;
}

AttentionArgs arguments(Operands& o, const AttentionCase& c) {
  const int64_t rows = c.sequences * c.tokens;
  AttentionArgs args;
  args.shape = shape_of(c);
  args.q = c.operand ? o.normal_operand(rows, c.n_heads * c.key_dim, c.spread)
                     : o.normal(rows, c.n_heads * c.key_dim, c.spread);
  args.k = o.normal(rows, c.kv_heads * c.key_dim);
  args.v = c.value_is_key ? args.k.slice_cols(0, c.kv_heads * c.value_dim) : o.normal(rows, c.kv_heads * c.value_dim);
  args.out =
      c.operand ? o.unwritten_operand(rows, c.n_heads * c.value_dim) : o.unwritten(rows, c.n_heads * c.value_dim);
  args.lse = o.unwritten(rows, c.n_heads);
  args.max_logit = o.unwritten(rows, c.n_heads);
  if (c.alibi) {
    std::vector<double> slopes;
    for (int64_t h = 0; h < c.n_heads; ++h) slopes.push_back(std::exp2(-static_cast<double>(h + 1)));
    args.alibi_slopes = o.holding(1, c.n_heads, slopes);
  }
  if (c.documents) args.doc_start = o.integers(document_starts(c, o.random()));
  args.scratch = o.bytes(o.device().attention_scratch(args.shape));
  return args;
}

}  // namespace

std::string describe(const AttentionCase& c) {
  return fmt::format("attention {}: {}x{} tokens, {} heads on {}, dims {} and {}", c.name, c.sequences, c.tokens,
                     c.n_heads, c.kv_heads, c.key_dim, c.value_dim);
}

Problem make_problem(Device& device, const AttentionCase& c) {
  Problem p;
  p.operands = std::make_unique<Operands>(device, 2, c.frame);
  Operands& o = *p.operands;
  const AttentionArgs args = arguments(o, c);
  const double base = c.accumulate_kv ? 0.5 : 0;
  const Tensor dout = o.normal(args.out.rows, args.out.cols), dq = o.unwritten(args.q.rows, args.q.cols);
  const Tensor dk = o.unwritten(args.k.rows, args.k.cols), dv = o.unwritten(args.v.rows, args.v.cols);
  p.forward = [=, &device] { device.attention_forward(args); };
  p.backward = [=, &device] {
    if (c.accumulate_kv) {
      device.fill(dk, base);
      device.fill(dv, base);
    }
    device.attention_backward({args, dout, dq, dk, dv, c.accumulate_kv});
  };
  p.inputs = {{"q", args.q, {dq}}, {"k", args.k, {dk}, base}};
  if (c.value_is_key) {
    p.inputs[1].gradients.push_back(dv);
  } else {
    p.inputs.push_back({"v", args.v, {dv}, base});
  }
  p.outputs = {{"out", args.out, dout}};
  // A logit is a sum of key_dim terms, of size `spread` in all; a probability is off by its logit's error, relatively.
  // ALiBi adds numbers of the size of the distance. Sums over the row, the gradients' over the value's dims and over
  // the tokens and heads that share a key, come on top.
  const double dims = std::sqrt(static_cast<double>(c.key_dim)), distance = c.alibi ? static_cast<double>(c.tokens) : 0;
  const double logit = dims * std::max(1.0, c.spread) + distance / 4;
  const double row = logit + std::sqrt(static_cast<double>(c.tokens));
  const double column = row + std::sqrt(static_cast<double>(c.tokens * c.n_heads / c.kv_heads + c.value_dim));
  // dq and dk come from p (dp − δ), a difference of sums of value_dim products, which cancel where p is near 1; times
  // keys, or queries of size `spread`.
  const double cancelled = args.shape.scale * std::sqrt(static_cast<double>(c.value_dim));
  const double cancelled_key = cancelled * std::max(1.0, c.spread);
  const double out = c.operand ? 0x1p15 : 0;  // a rounding to bf16, which δ = Σ dout ⊙ out inherits
  p.results = {{"out", args.out, row + out},
               {"lse", args.lse, row, c.spread},
               {"max_logit", args.max_logit, logit, c.spread},
               {"dq", dq, column + out, cancelled},
               {"dk", dk, column + out, cancelled_key},
               {"dv", dv, column}};
  return p;
}

}  // namespace mfa
