// The rank that a model's trained weights really have, head by head: of W_c, which compares two tokens (the QK
// circuit), and U_c, which carries a value to the output (the VO circuit); docs/measured-rank.md.
//
//   score_ij = x_i W_c x_jᵀ · scale      out_i += p_ij x_j U_c      both width × width, of rank ≤ the head's dims
//
// x is the layer's normed input. W_c is that of two tokens at the same position: RoPE turns it by an orthogonal map
// between its two factors at others. Weights of norms inside a circuit (latent and q/k norms) count as the diagonal
// that they are; their division by a length, which differs from token to token, is left out, and so are biases.
#pragma once

#include <functional>
#include <vector>

#include "model/model_config.h"

namespace mfa {

struct CircuitRank {
  int64_t rank = 0;        // singular values above the tolerance times the largest
  int64_t bound = 0;       // what the factors' dims allow
  double stable_rank = 0;  // Σσ² / σ₁²: between 1 and the rank; 0 for a circuit of zeros
  double largest = 0;      // σ₁
};

struct HeadRank {
  int64_t layer = 0, head = 0;
  CircuitRank qk, vo;
};

struct MeasuredRank {
  double tolerance = 0;  // relative to the largest singular value
  std::vector<HeadRank> heads;
  // Sums over all heads and means over layers: the measured counterpart of TER.
  double ter_qk = 0, ter_vo = 0;
};

// The numbers of a parameter [rows, cols], row-major.
using ParameterReader = std::function<std::vector<float>(const ParameterSpec&)>;

// A relative tolerance of 0 takes width · 2⁻²³, the rounding of f32 weights. Singular values are those of small cores
// R_q R_kᵀ, from a QR factorization of each factor: width · dims² operations a head, never width × width numbers.
// Reads the parameters of attention, a layer at a time.
MeasuredRank measure_rank(const ModelConfig& config, const ParameterReader& read, double tolerance = 0);

}  // namespace mfa
