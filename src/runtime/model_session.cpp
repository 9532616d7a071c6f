#include "runtime/model_session.h"

#include "base/error.h"
#include "model/model_folder.h"

namespace mfa {

DType parse_kv(const std::string& name, DType weights) {
  if (name == "auto") return weights == DType::f32 ? DType::f32 : DType::bf16;
  if (name == "f32") return DType::f32;
  if (name == "bf16") return DType::bf16;
  if (name == "int8") return DType::i8;
  bad_input("[kv] unknown KV type, got {}, expected auto, f32, bf16 or int8", name);
}

ModelSession open_model(Device& device, const std::filesystem::path& model, const SessionOptions& options) {
  ModelSession session;
  session.config = load_config(model);
  const SafetensorsReader reader(weights_of(model));
  const DType stored = weight_type(reader);
  session.kv_type = parse_kv(options.kv, stored);
  const Precision precision =
      options.precision == "auto" && stored == DType::f32 ? Precision::f32 : parse_precision(options.precision, device);
  // On a CPU that multiplies in f32, bf16 weights stay bf16 in memory: half the bytes to read, the same numbers.
  session.weight_type = stored != DType::f32 || precision == Precision::bf16 ? DType::bf16 : DType::f32;
  ParameterStore weights(device, session.config);
  load_parameters(reader, session.config, weights);
  session.engine = std::make_unique<Engine>(
      device, session.config, weights, EngineOptions{.weights = session.weight_type, .positions = options.positions});
  return session;
}

}  // namespace mfa
