#include "model/linear_layer.h"

#include "model/lora.h"

namespace mfa {

LinearLayer::LinearLayer(const LayerContext& context, Names names, Workspace& workspace)
    : context_(&context), names_(std::move(names)) {
  if (context.lora != nullptr) add_adapters(workspace);
}

void LinearLayer::add_adapters(Workspace& workspace) {
  const ParameterStore& weights = context_->weights;
  Lora& lora = *context_->lora;
  const DType real = context_->device.real();
  const int64_t rows = context_->rows();
  const ParameterSpec& first = weights.spec(names_.first);
  const ParameterSpec& last = weights.spec(names_.last);
  for (const ParameterSpec& spec : weights.table()) {
    if (spec.offset < first.offset || spec.offset > last.offset) continue;
    const std::string module = spec.name.substr(0, spec.name.size() - std::string_view("weight").size());
    const std::string a = module + "lora_A.weight", b = module + "lora_B.weight";
    if (!lora.weights.has(a)) continue;
    adapters_.push_back({.a = lora.weights[a],
                         .b = lora.weights[b],
                         .da = lora.gradients[a],
                         .db = lora.gradients[b],
                         .begin = (spec.offset - first.offset) / spec.cols,
                         .hidden = workspace.saved.tensor("adapter", real, rows, lora.spec.rank)});
  }
  if (!adapters_.empty() && context_->gradients != nullptr)
    dhidden_ = workspace.scratch.tensor("dadapter", real, rows, lora.spec.rank);
}

void LinearLayer::forward(Tensor x, Tensor y, bool accumulate) {
  Device& device = context_->device;
  const ParameterStore& w = context_->weights;
  linear_forward(device, x, w.span(names_.first, names_.last),
                 names_.first_bias.empty() ? Tensor{} : w.span(names_.first_bias, names_.last_bias), y, accumulate);
  for (const Adapter& adapter : adapters_) {
    device.matmul({.a = x, .b = adapter.a, .c = adapter.hidden, .transpose_b = true});
    device.scale(adapter.hidden, context_->lora->spec.scale());
    device.matmul({.a = adapter.hidden,
                   .b = adapter.b,
                   .c = y.slice_cols(adapter.begin, adapter.b.rows),
                   .transpose_b = true,
                   .accumulate = true});
  }
}

Tensor LinearLayer::gradient_of(const std::string& first, const std::string& last) const {
  if (first.empty() || !context_->gradients->has(first)) return {};
  return context_->gradients->span(first, last);
}

void LinearLayer::backward(Tensor x, Tensor dy, Tensor dx) {
  Device& device = context_->device;
  linear_backward(device, x, context_->weights.span(names_.first, names_.last), dy,
                  gradient_of(names_.first, names_.last), gradient_of(names_.first_bias, names_.last_bias), dx);
  for (const Adapter& adapter : adapters_) {
    const Tensor dpart = dy.slice_cols(adapter.begin, adapter.b.rows);
    device.matmul({.a = dpart, .b = adapter.hidden, .c = adapter.db, .transpose_a = true, .accumulate = true});
    device.matmul({.a = dpart, .b = adapter.b, .c = dhidden_});
    device.scale(dhidden_, context_->lora->spec.scale());
    device.matmul({.a = dhidden_, .b = x, .c = adapter.da, .transpose_a = true, .accumulate = true});
    device.matmul({.a = dhidden_, .b = adapter.a, .c = dx, .accumulate = true});
  }
}

}  // namespace mfa
