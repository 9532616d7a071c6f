// The speed of one training step, on the shapes that the project's bars are set on.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/device.h"
#include "model/model_config.h"

namespace mfa {

struct TrainShape {
  int64_t width, layers, context, batch, vocab, ffn;
};
// 14m: width 384, 6 layers, context 512, batch 8, vocabulary 8,192, FFN 1,024. 100m: 768, 12, 1,024, 2, 32,768, 2,048.
// Tied. BadInput for another name.
TrainShape train_shape(const std::string& size);

struct TrainBenchRow {
  int64_t parameters = 0;
  double seconds = 0;  // median of whole steps: forward, backward, clip, AdamW
  double tokens_per_s = 0;
  double flops = 0;  // of a step: (6·parameters + 6·layers·heads·head_dim·context) · tokens
  double bytes = 0;  // least traffic: parameters, gradients, moments, each activation written and read once
  size_t activation_bytes = 0;
};

// mha as the shape has it; other presets matched to its parameters (mfa: C = width/8, heads first, then FFN).
ModelConfig bench_config(const std::string& attention, const TrainShape& shape);
TrainBenchRow bench_train_step(Device& device, const ModelConfig& config, int64_t batch, int64_t context, int steps);

}  // namespace mfa
