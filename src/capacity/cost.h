// Money and time: what the roofline of a machine allows, and what it costs. Full utilisation is assumed throughout;
// the figures bound what is possible and do not predict a program.
#pragma once

#include "capacity/capacity.h"
#include "capacity/hardware.h"

namespace mfa {

// USD for a million decoded tokens by the formula of Step-3's report (section 4.2 there):
//   attention = max(core FLOPs · price of a FLOP, KV bytes · price of a byte) + linear FLOPs · price of a FLOP
//   ffn       = FLOPs · price of a FLOP
// Weights are not read at all: batches are thought so large that products are bound by arithmetic.
struct DecodePrice {
  double attention_usd = 0, ffn_usd = 0;
  double total_usd() const { return attention_usd + ffn_usd; }
};
// `bits`: of the operands, which choose the arithmetic (Hardware::flops). Infinite where the hardware has none known.
DecodePrice decode_price(const DecodeWork& work, const Hardware& hardware, int64_t bits);

// The smallest share of experts S = chosen ÷ all for which the network keeps up with the feed-forward layers, by the
// report's section 4.4: 3 bytes a number of the width cross the network for each token and layer (8 bits to the
// experts, 16 back), a token takes 50 ms in 3 stages, and B_MoE = FLOPs ÷ (2 · bytes/s) ÷ S.
double smallest_sparsity(const Hardware& hardware, int64_t width, int64_t layers);

// A batch of sequences that all decode at depth T.
struct DecodeStep {
  double bytes = 0, flops = 0;  // of one step: weights once, and each sequence's cache
  double seconds = 0;           // max(bytes ÷ bandwidth, FLOPs ÷ peak)
  bool memory_bound = true;     // which of the two
  double tokens_per_s = 0;      // of the whole batch
  double usd_per_million_tokens = 0;
};
// Experts are chosen at random and apart from each other: of E experts, E · (1 − (1 − k/E)^batch) are read.
DecodeStep decode_step(const CapacityRow& row, const Hardware& hardware, DType weights, int64_t batch);
// From what one step reads of the weights, and what one of its tokens asks for beside them.
DecodeStep decode_step(double weights_read, double kv_bytes, double flops, const Hardware& hardware, DType weights,
                       int64_t batch);

// Bytes of all weights, in one type.
double weight_bytes(const CapacityRow& row, DType weights);

// Sequences of T tokens that fit into `memory_bytes` beside the weights; caches come in whole pages. 0 if the
// weights alone do not fit; −1: without end, since a sequence leaves nothing.
int64_t sequences_that_fit(const CapacityRow& row, DType weights, double memory_bytes);

}  // namespace mfa
