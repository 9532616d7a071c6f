// What one operation of a model counts as, in FLOPs. These are conventions, and the only ones there are: a product of
// [m, k] by [k, n] is 2·m·k·n, adding into its target included; an exponential, a square root, a tanh or a division is
// 1, like a multiplication; a comparison, a copy and a change of sign or type are none, nor is making a table once
// (cos and sin, ALiBi's slopes). What a kernel does beside the equations (rescaling of a running softmax, padding) is
// not counted. tests/capacity/flops_test.cpp counts by the same rules in a model that runs.
#pragma once

#include "model/model_config.h"

namespace mfa::flops {

// RMSNorm of d numbers: squares and their sum 2d, x · r · w 2d; mean, eps, root 3.
// LayerNorm: mean d + 1, variance 3d + 1, eps and root 2, (x − mean) · r · w + b 4d.
constexpr double norm(ModelNorm kind, double d) { return kind == ModelNorm::rms ? 4 * d + 3 : 8 * d + 4; }

// With r (and the mean) kept from the forward pass. RMS: x̂ = x r; g = w dy; mean of g x̂; dx = r (g − x̂ · mean);
// dw += dy x̂. Layer: the same with the mean of g beside it, and db += dy. `add`: dx is added to what is there.
constexpr double norm_backward(ModelNorm kind, double d, bool add) {
  return (kind == ModelNorm::rms ? 9 * d + 1 : 13 * d + 2) + (add ? d : 0);
}

constexpr double kRotation = 3;         // a rotated number: of a pair, 4 multiplications and 2 additions
constexpr double kSwiglu = 4;           // exp, + 1, ÷, · up
constexpr double kSwigluBackward = 11;  // the sigmoid again 3, silu 1, dup 1, dgate 6
constexpr double kGeglu = 10;           // x³ 2, c · x³ + x 2, · √(2/π), tanh, + 1, · x/2 2, · up
constexpr double kSigmoidGate = 4;      // exp, + 1, ÷, · x
constexpr double kSoftCap = 3;          // ÷ cap, tanh, · cap

// A score of softmax attention beside its product: · scale, − max, exp, into the sum. ALiBi: slope · distance, added.
constexpr double kSoftmax = 4, kAlibi = 2;
// Going back: · scale, − lse, exp, and dS = P (dP − D) · scale.
constexpr double kSoftmaxBackward = 6;

// A row of softmax cross-entropy: − max, exp, sum; log and difference. Its gradient: e ÷ Σ, · scale; − scale once.
constexpr double cross_entropy(double vocab) { return 3 * vocab + 2; }
constexpr double cross_entropy_gradient(double vocab) { return 2 * vocab + 1; }

// MFA-KR's v = k + α ⊙ (N k) beside the product: 2 a number, 1 without the gate. Back: α ⊙ dv, and dα.
constexpr double kGate = 2, kResidual = 1, kGateBackward = 3;

}  // namespace mfa::flops
