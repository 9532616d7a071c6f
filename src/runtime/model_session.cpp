#include "runtime/model_session.h"

#include "base/error.h"
#include "base/progress.h"
#include "model/model_folder.h"
#include "runtime/memory_plan.h"
#include "runtime/parameter_source.h"

namespace mfa {

DType parse_kv(const std::string& name, DType weights) {
  if (name == "auto") return weights == DType::f32 ? DType::f32 : DType::bf16;
  if (name == "f32") return DType::f32;
  if (name == "bf16") return DType::bf16;
  if (name == "int8") return DType::i8;
  bad_input("[kv] unknown KV type, got {}, expected auto, f32, bf16 or int8", name);
}

namespace {

// safetensors and GGUF differ in the case of their types' names.
bool is_f32(const std::string& type) { return type == "f32" || type == "F32"; }
bool is_bf16(const std::string& type) { return type == "bf16" || type == "BF16"; }

}  // namespace

ModelSession open_model(Device& device, const std::filesystem::path& model, const SessionOptions& options) {
  ModelSession session;
  session.config = load_config(model);
  const std::unique_ptr<WeightFile> file = open_weights(model);
  const std::string stored = main_type(*file);
  const bool stored_f32 = is_f32(stored);
  session.kv_type = parse_kv(options.kv, stored_f32 ? DType::f32 : DType::bf16);
  const Precision asked =
      options.precision == "auto" && stored_f32 ? Precision::f32 : parse_precision(options.precision, device);
  // On a CPU that multiplies in f32, bf16 weights stay bf16 in memory: half the bytes to read, the same numbers. Of f16
  // and quantized weights bf16 keeps 8 bits, which is what they are made of; --precision f32 keeps all of them.
  const bool as_stored = options.precision == "auto" || is_bf16(stored);
  session.weight_type = asked == Precision::bf16 || (as_stored && !stored_f32) ? DType::bf16 : DType::f32;
  // Weights that were asked to be bf16 are; products of them are never emulated.
  session.precision = device.info().native_precision == Precision::bf16 ? asked : Precision::f32;
  StreamedWeights weights(device, session.config, *file);
  const int64_t positions = options.positions > 0 ? options.positions : session.config.context;
  const MemoryPlan plan = plan_memory(session.config, session.weight_type, session.kv_type, positions, positions);
  note("[model] " + describe(plan, stored_f32 ? "f32" : stored));
  require_memory(plan);
  session.engine = std::make_unique<Engine>(
      device, session.config, weights,
      EngineOptions{.weights = session.weight_type, .precision = session.precision, .positions = options.positions});
  return session;
}

}  // namespace mfa
