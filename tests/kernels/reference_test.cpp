// The reference device against results worked out by hand, and its two kinds of attention against each other: it is the
// yardstick of the other tests, and a gradient check alone would pass a formula that is wrong in both passes.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/operands.h"

namespace mfa {
namespace {

using Numbers = std::vector<double>;

class Reference : public testing::Test {
 protected:
  void expect(Tensor x, const Numbers& expected) {
    const Numbers got = read(*device_, x);
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-12) << "number " << i;
  }
  std::unique_ptr<Device> device_ = make_reference_device(DType::f64);
  Operands o_{*device_, 9};
};

TEST_F(Reference, Matmul) {
  const Tensor a = o_.holding(2, 3, {1, 2, 3, 4, 5, 6}), b = o_.holding(3, 2, {1, 0, 2, 1, 0, 3});
  const Tensor c = o_.holding(2, 2, {100, 100, 100, 100});
  device_->matmul({a, b, c});
  expect(c, {5, 11, 14, 23});
  device_->matmul({a, b, c, false, false, true});
  expect(c, {10, 22, 28, 46});
  const Tensor d = o_.unwritten(3, 3);
  device_->matmul({a, b, d, true, true});  // aᵀ bᵀ
  expect(d, {1, 6, 12, 2, 9, 15, 3, 12, 18});
}

// 1 + 2⁻⁹ needs ten bits: bf16 drops the last one.
TEST_F(Reference, MatmulInBf16RoundsBothOperands) {
  const Tensor a = o_.holding(1, 1, {1 + 0x1p-9}), b = o_.holding(1, 1, {3 - 0x1p-9}), c = o_.unwritten(1, 1);
  device_->matmul({a, b, c});
  expect(c, {(1 + 0x1p-9) * (3 - 0x1p-9)});
  device_->set_precision(Precision::bf16);
  device_->matmul({a, b, c});
  expect(c, {3});
}

TEST_F(Reference, Norms) {
  NormArgs args;
  args.x = o_.holding(1, 4, {3, 4, 0, 5});  // two groups, of mean square 12.5
  args.weight = o_.holding(1, 2, {1, 2});
  args.y = o_.unwritten(1, 4);
  args.statistics = o_.unwritten(1, 2);
  args.eps = 0;
  const double r = 1 / std::sqrt(12.5);
  device_->norm_forward(args);
  expect(args.y, {3 * r, 8 * r, 0, 10 * r});
  expect(args.statistics, {r, r});
  args.kind = NormKind::layer;
  args.bias = o_.holding(1, 2, {10, 20});
  args.statistics = o_.unwritten(1, 4);
  device_->norm_forward(args);  // means 3.5 and 2.5, deviations 0.5 and 2.5
  expect(args.y, {9, 22, 9, 22});
  expect(args.statistics, {3.5, 2, 2.5, 0.4});
}

// A quarter turn: (a, b) -> (−b, a) in the second half of each head's four dims.
TEST_F(Reference, Rope) {
  const Tensor x = o_.holding(1, 8, {1, 2, 3, 4, 5, 6, 7, 8});
  RopeArgs args{x, o_.integers({1}), o_.holding(2, 1, {1, 0}), o_.holding(2, 1, {0, 1}), 2, 4, 2};
  device_->rope(args);
  expect(x, {1, 2, -4, 3, 5, 6, -8, 7});
  args.inverse = true;
  device_->rope(args);
  expect(x, {1, 2, 3, 4, 5, 6, 7, 8});
}

TEST_F(Reference, CopyHeads) {
  const Tensor wide = o_.constant(1, 6, -1), narrow = o_.holding(1, 2, {1, 2});
  device_->copy_heads({narrow, wide, 2, 2, 2, 0, 3, 1, true});
  expect(wide, {-1, 1, 2, -1, 1, 2});
  device_->copy_heads({wide, narrow, 2, 2, 3, 0, 2, 0, false, true});
  expect(narrow, {-2, 2});
}

TEST_F(Reference, GateAndSwiglu) {
  const Tensor base = o_.holding(1, 4, {1, 2, 3, 4}), mixed = o_.holding(1, 4, {10, 20, 30, 40});
  const Tensor alpha = o_.holding(1, 2, {0.5, -1}), out = o_.unwritten(1, 4);
  device_->gate_forward({base, mixed, alpha, out});
  expect(out, {6, -18, 18, -36});
  device_->gate_forward({base, mixed, Tensor{}, out});
  expect(out, {11, 22, 33, 44});
  device_->swiglu_forward(o_.holding(1, 2, {0, std::log(3)}), o_.holding(1, 2, {7, 2}), out.slice_cols(0, 2));
  expect(out.slice_cols(0, 2), {0, 1.5 * std::log(3)});  // σ(ln 3) = 3/4
}

TEST_F(Reference, CrossEntropy) {
  const Tensor logits = o_.holding(2, 2, {1000, 1000 + std::log(3), 5, 5}), losses = o_.unwritten(1, 2);
  device_->cross_entropy({logits, o_.integers({0, -1}), losses, logits, 2});
  const Numbers got = read(*device_, losses);
  EXPECT_NEAR(got[0], std::log(4), 1e-12);
  EXPECT_EQ(got[1], 0);
  expect(logits, {-1.5, 1.5, 0, 0});
}

// The first step moves by lr · sign(g), whatever the size of g, beside the decay.
TEST_F(Reference, AdamW) {
  const Tensor p = o_.holding(1, 2, {1, 2}), m = o_.constant(1, 2, 0), v = o_.constant(1, 2, 0);
  AdamWArgs args{p, o_.holding(1, 2, {8, -0.5}), m, v};
  args.lr = 0.1;
  args.eps = 0;
  args.decay = 0.01;
  args.grad_scale = 0.25;
  device_->adamw(args);
  expect(p, {1 - 0.1 * (1 + 0.01), 2 - 0.1 * (-1 + 0.02)});
  expect(m, {0.2, -0.0125});
  expect(v, {0.2, 0.05 * 0.015625});
}

// With q = 0 all that a row sees weighs the same: outputs are means, lse is the logarithm of a count.
TEST_F(Reference, AttentionSeesWhatItShould) {
  AttentionArgs args;
  args.shape.tokens = 4;
  args.shape.key_dim = args.shape.value_dim = 1;
  args.q = o_.constant(4, 1, 0);
  args.k = o_.normal(4, 1);
  args.v = o_.holding(4, 1, {1, 3, 8, 20});
  args.out = o_.unwritten(4, 1);
  args.lse = o_.unwritten(4, 1);
  device_->attention_forward(args);
  expect(args.out, {1, 2, 4, 8});
  expect(args.lse, {0, std::log(2), std::log(3), std::log(4)});
  args.shape.window = 2;
  device_->attention_forward(args);
  expect(args.out, {1, 2, 5.5, 14});
  args.doc_start = o_.integers({0, 0, 2, 2});
  args.shape.window = 0;
  device_->attention_forward(args);
  expect(args.out, {1, 2, 8, 14});
  args.doc_start = {};
  args.alibi_slopes = o_.holding(1, 1, {std::log(2)});  // weights 1, 1/2, 1/4, 1/8 by distance
  device_->attention_forward(args);
  expect(args.out, {1, 7. / 3, 39. / 7, (20 + 4 + 0.75 + 0.125) * 8 / 15});
}

// Paged attention over a whole prompt is attention over the sequence; key rotation on read is rope before it.
TEST_F(Reference, PagedAttentionIsAttention) {
  constexpr int64_t tokens = 23, heads = 6, kv_heads = 2, dim = 8;
  AttentionArgs args;
  args.shape = {1, tokens, heads, kv_heads, dim, dim, 9, 0.4};
  args.q = o_.normal(tokens, heads * dim);
  args.k = o_.normal(tokens, kv_heads * dim);
  args.v = o_.normal(tokens, kv_heads * dim);
  args.out = o_.unwritten(tokens, heads * dim);
  args.lse = o_.unwritten(tokens, heads);
  args.alibi_slopes = o_.normal(1, heads);
  const Tensor cos = o_.normal(tokens, 3), sin = o_.normal(tokens, 3), paged = o_.unwritten(tokens, heads * dim);

  KvPoolSpec spec{kv_heads, dim, dim, false, 5, 6};  // f32 pages hold these numbers exactly
  const auto pool = device_->make_kv_pool(spec);
  const std::vector<int32_t> pages{3, 0, 5, 1, 4};
  std::vector<int64_t> slots;
  for (int64_t t = 0; t < tokens; ++t) slots.push_back(pages[t / 5] * 5 + t % 5);
  device_->kv_append(*pool, args.k, args.v, slots);
  const PagedSequence sequence{pages, 0, tokens, 0};
  device_->attention_paged(
      {pool.get(), args.q, paged, heads, 9, 0.4, args.alibi_slopes, cos, sin, std::span(&sequence, 1)});

  std::vector<int32_t> positions(tokens);
  for (int32_t t = 0; t < tokens; ++t) positions[t] = t;
  device_->rope({args.k, o_.integers(positions), cos, sin, kv_heads, dim, 0});
  device_->attention_forward(args);
  expect(paged, read(*device_, args.out));
}

// A pool with values inside keys gives the first value_dim numbers of each cached vector, unrotated.
TEST_F(Reference, ValueInKey) {
  const auto pool = device_->make_kv_pool({1, 3, 2, true, 4, 1});
  device_->kv_append(*pool, o_.holding(2, 3, {1, 2, 100, 3, 6, 200}), Tensor{}, std::vector<int64_t>{0, 1});
  const std::vector<int32_t> pages{0};
  const PagedSequence sequence{pages, 0, 1, 1};
  const Tensor out = o_.unwritten(1, 2);
  PagedAttentionArgs args{pool.get(), o_.constant(1, 3, 0), out};
  args.sequences = std::span(&sequence, 1);
  device_->attention_paged(args);
  expect(out, {2, 4});
}

TEST_F(Reference, LinearRoundsTheWeightToItsStorage) {
  const Tensor x = o_.holding(1, 2, {1, 1 + 0x1p-9}), w = o_.holding(1, 2, {1 + 0x1p-9, 2}), y = o_.unwritten(1, 1);
  const auto exact = device_->pack_weight(w, DType::f32), rounded = device_->pack_weight(w, DType::bf16);
  EXPECT_EQ(exact->bytes(), 8u);
  EXPECT_EQ(rounded->bytes(), 4u);
  device_->linear(x, *exact, y);
  expect(y, {3 + 3 * 0x1p-9});
  device_->linear(x, *rounded, y);
  expect(y, {3 + 2 * 0x1p-9});
}

TEST_F(Reference, LinearInBf16RoundsWhatMeetsBf16Weights) {
  const Tensor x = o_.holding(1, 2, {1, 1 + 0x1p-9}), w = o_.holding(1, 2, {1, 2}), y = o_.unwritten(1, 1);
  const auto exact = device_->pack_weight(w, DType::f32), rounded = device_->pack_weight(w, DType::bf16);
  device_->set_precision(Precision::bf16);
  device_->linear(x, *exact, y);
  expect(y, {3 + 2 * 0x1p-9});
  device_->linear(x, *rounded, y);
  expect(y, {3});
}

}  // namespace
}  // namespace mfa
