#include "model/value_map.h"

namespace mfa {

ValueMap::ValueMap(const LayerContext& context, KeyReuse form, std::string prefix)
    : context_(&context), form_(form), mix_(prefix + "value_mix.weight"), gate_(prefix + "value_gate") {}

Tensor ValueMap::forward(Tensor x, Tensor mixed, Tensor out) const {
  if (identity()) return x;
  linear_forward(context_->device, x, context_->weights[mix_], {}, mixed);
  if (form_ == KeyReuse::map) return mixed;
  const Tensor alpha = form_ == KeyReuse::gated ? context_->weights[gate_] : Tensor{};
  context_->device.gate_forward({.base = x, .mixed = mixed, .alpha = alpha, .out = out});
  return out;
}

void ValueMap::backward(Tensor x, Tensor mixed, Tensor dout, Tensor dx, Tensor scratch) const {
  Device& device = context_->device;
  if (form_ != KeyReuse::map) device.add(dx, dout);
  if (identity()) return;
  Tensor dmixed = dout;
  if (form_ == KeyReuse::gated) {
    device.gate_backward({.mixed = mixed,
                          .alpha = context_->weights[gate_],
                          .dout = dout,
                          .dmixed = scratch,
                          .dalpha = context_->gradient(gate_)});
    dmixed = scratch;
  }
  linear_backward(device, x, context_->weights[mix_], dmixed, context_->gradient(mix_), {}, dx, true);
}

}  // namespace mfa
