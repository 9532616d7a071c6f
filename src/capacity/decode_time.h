// How long one decoding step takes on a machine, predicted from the spec alone.
//
// On a row that `mfa info --cpu --measure` wrote (Hardware::decode), each operation of a step is looked up in what was
// measured of that operation on its own: products by the size of their weights, attention by cached tokens, query heads
// per KV head and dims, cut over the threads as the CPU device cuts it, and the vector operations between them. Nothing
// is fitted on models. On other rows, which know bandwidth and FLOPs only, each operation takes the longer of reading
// its bytes and computing its FLOPs: a lower bound.
#pragma once

#include <cstdint>

#include "base/dtype.h"
#include "capacity/cost_spec.h"
#include "capacity/hardware.h"

namespace mfa {

struct DecodeRun {
  int64_t context = 0;  // tokens that the new token of each sequence sees, itself included
  int64_t batch = 1;    // sequences that get one token each
  DType weights = DType::bf16, kv = DType::bf16;
};

// Seconds of one step of all sequences, by where they go.
struct DecodeTime {
  double products = 0;   // reading and multiplying with weights
  double attention = 0;  // over the cache
  double vectors = 0;    // norms, rotations, activations, the cache's new entries
  double seconds() const { return products + attention + vectors; }
  DecodeTime& operator+=(const DecodeTime& other);
};

// For models that run (CostModel::runs): of what is counted only, experts, chunks and linear states are left out.
DecodeTime decode_time(const CostModel& model, const DecodeRun& work, const Hardware& hardware);
DecodeTime decode_time(const ModelConfig& config, const DecodeRun& work, const Hardware& hardware);

// One layer; and what comes after the last: final norm and classifier. No allocation: a planner asks by the 100,000.
DecodeTime layer_decode_time(const CostLayer& layer, int64_t width, const DecodeRun& work, const Hardware& hardware);
DecodeTime output_decode_time(int64_t width, int64_t vocab, const DecodeRun& work, const Hardware& hardware);

}  // namespace mfa
