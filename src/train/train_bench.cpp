#include "train/train_bench.h"

#include <vector>

#include "base/error.h"
#include "base/median.h"
#include "base/progress.h"
#include "base/random.h"
#include "capacity/capacity.h"
#include "model/init.h"
#include "model/presets.h"
#include "model/transformer.h"
#include "train/optimizer.h"

namespace mfa {

TrainShape train_shape(const std::string& size) {
  if (size == "14m") return {384, 6, 512, 8, 8192, 1024};
  if (size == "100m") return {768, 12, 1024, 2, 32768, 2048};
  bad_input("[bench] unknown size, got {}, expected 14m or 100m", size);
}

ModelConfig bench_config(const std::string& attention, const TrainShape& shape) {
  PresetOptions options;
  options.width = shape.width;
  options.layers = shape.layers;
  options.context = shape.context;
  options.vocab = shape.vocab;
  PresetOptions mha = options;
  mha.ffn = shape.ffn;
  const ModelConfig reference = make_preset("mha", mha);
  return attention == "mha" ? reference : match_parameters(attention, options, parameter_count(reference));
}

TrainBenchRow bench_train_step(Device& device, const ModelConfig& config, int64_t batch, int64_t context, int steps) {
  ParameterStore weights(device, config), gradients(device, config);
  initialise(weights, config, {});
  Optimizer optimizer(weights, gradients, {});
  Transformer model(weights, &gradients, config, batch, context);
  const int64_t tokens = batch * context;
  std::vector<int32_t> ids(static_cast<size_t>(tokens)), targets(static_cast<size_t>(tokens));
  Random random(1);
  for (auto* list : {&ids, &targets})
    for (int32_t& id : *list) id = static_cast<int32_t>(random.below(static_cast<uint64_t>(config.vocab)));
  std::vector<double> seconds;
  Progress progress("bench train", steps + 2);
  for (int step = 1; step <= steps + 2; ++step) {  // two to warm up, as the peer's script does
    const double began = now_seconds();
    device.fill(gradients.flat(), 0);
    model.loss_and_gradients({ids, targets, {}}, 1.0 / static_cast<double>(tokens));
    optimizer.update(step, 3e-4, optimizer.gradient_norm());
    if (step > 2) seconds.push_back(now_seconds() - began);
    progress.update(step);
  }
  TrainBenchRow row;
  row.parameters = weights.size();
  row.seconds = median(std::move(seconds));
  row.tokens_per_s = static_cast<double>(tokens) / row.seconds;
  row.flops = capacity_of(config, "", {.context = context}).flops_per_token_train * static_cast<double>(tokens);
  row.activation_bytes = model.activation_bytes();
  // Weights read three times and written once, gradients written and read, both moments read and written.
  row.bytes = 4.0 * static_cast<double>(weights.size()) * 10 + 2.0 * static_cast<double>(row.activation_bytes);
  return row;
}

}  // namespace mfa
