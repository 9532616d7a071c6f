// A model opened for inference: what generate, perplexity and comparison share.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "kernels/device.h"
#include "kernels/precision.h"
#include "runtime/engine.h"

namespace mfa {

struct SessionOptions {
  std::string precision = "auto";  // auto: f32 for f32 weights, else the device's native precision
  std::string kv = "auto";         // auto: f32 for f32 weights, else bf16
  int64_t positions = 0;           // the longest sequence; 0: the model's context
};

// KV type by name; BadInput for an unknown one. `weights` is what the file stores.
DType parse_kv(const std::string& name, DType weights);

struct ModelSession {
  ModelConfig config;
  DType kv_type = DType::f32, weight_type = DType::f32;
  Precision precision = Precision::f32;  // what the engine multiplies in
  std::unique_ptr<Engine> engine;
};

// Opens a model folder, .safetensors or GGUF file (model/model_folder.h). A note says what weights and a cache of
// options.positions tokens take; Failure, before any of it is taken, where that is more than the memory available.
ModelSession open_model(Device& device, const std::filesystem::path& model, const SessionOptions& options);

}  // namespace mfa
