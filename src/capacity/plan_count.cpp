#include "capacity/plan_count.h"

#include "capacity/layer_flops.h"
#include "kernels/paged_schedule.h"

namespace mfa {
namespace {

constexpr double kMostParameters = 0x1p40;  // of any model (model/validate.cpp)

double real(int64_t n) { return static_cast<double>(n); }

}  // namespace

SpecCounter::SpecCounter(const PlanRequest& request) : request_(request) {
  const PresetOptions& shape = request.shape;
  for (const Variant variant : request.variants) {
    const AttentionSpec attention = plan_attention(variant, shape);
    for (const bool owns : {true, false}) {
      CostLayer& layer = layers_[static_cast<size_t>(variant)][owns ? 0 : 1];
      layer.attention = cost_attention(attention, shape.window, owns);
      layer.ffn.bias = shape.ffn_bias;
      layer.norm = shape.norm;
    }
  }
  // Every share_cache-th layer owns the cache that those behind it read (make_preset).
  counts_[0] = (shape.layers + shape.share_cache - 1) / shape.share_cache;
  counts_[1] = shape.layers - counts_[0];
  model_.vocab = shape.vocab;
  model_.norm = shape.norm;
  model_.tied = shape.tied;
}

void SpecCounter::set(const PlanSpec& spec) {
  model_.width = spec.width;
  const bool rotated = request_.shape.position == PositionKind::rope, mla = spec.variant == Variant::mla;
  for (CostLayer& layer : layers_[static_cast<size_t>(spec.variant)]) {
    CostAttention& a = layer.attention;
    set_sizes(spec, a);
    a.rotary_dim = !rotated ? 0 : mla ? spec.rope_dim : spec.head_dim;
    layer.ffn.width = spec.ffn;
  }
}

int64_t SpecCounter::count_sizes(const PlanSpec& spec) {
  set(spec);
  const CostQuery query{.width = spec.width, .kv_type = request_.kv_type};
  const int64_t outside = outside_cost(model_, 1).parameters;
  double sum = real(outside);
  for (size_t kind = 0; kind < counts_.size(); ++kind) {
    sizes_[kind] = layer_sizes(layers_[static_cast<size_t>(spec.variant)][kind], query);
    sum += real(counts_[kind]) * real(sizes_[kind].parameters());
  }
  if (sum > kMostParameters) return kTooMany;
  return outside + counts_[0] * sizes_[0].parameters() + counts_[1] * sizes_[1].parameters();
}

double SpecCounter::seconds_at(const PlanSpec& spec, int64_t context, double weights_read) const {
  const CostQuery query{.width = spec.width, .context = context, .kv_type = request_.kv_type};
  double flops = outside_cost(model_, context).decode.total(), kv_bytes = 0;
  for (size_t kind = 0; kind < counts_.size(); ++kind) {
    if (counts_[kind] == 0) continue;
    const CostLayer& layer = layers_[static_cast<size_t>(spec.variant)][kind];
    flops += real(counts_[kind]) * inference_flops(layer, query, 1, context - 1, false).total();
    // A layer that reads another's cache reads as many bytes as its owner.
    kv_bytes += real(counts_[kind] * sizes_[0].kv_bytes_per_token * visible_last(context, layer.attention.window));
  }
  const DecodeStep step =
      decode_step(weights_read, kv_bytes, flops, request_.hardware, request_.weights, request_.batch);
  return step.seconds / real(request_.batch);
}

PlanFigures SpecCounter::figures(const PlanSpec& spec) {
  PlanFigures f;
  f.parameters = count_sizes(spec);
  if (f.parameters == kTooMany) return f;
  f.kv_bytes = counts_[0] * sizes_[0].kv_bytes_per_token;
  f.ter = sizes_[0].ter;
  f.slsd = sizes_[0].slsd;
  const OutsideCost outside = outside_cost(model_, 1);
  double matrices = real(outside.matrix_numbers), vectors = real(outside.vector_numbers);
  for (size_t kind = 0; kind < counts_.size(); ++kind) {
    matrices += real(counts_[kind]) * real(sizes_[kind].matrix_numbers);
    vectors += real(counts_[kind]) * real(sizes_[kind].vector_numbers);
  }
  const double weight = real(static_cast<int64_t>(size_of(request_.weights)));
  for (const int64_t context : request_.contexts)
    f.seconds += seconds_at(spec, context, weight * matrices + 4 * vectors);  // vectors are f32
  f.seconds /= real(static_cast<int64_t>(request_.contexts.size()));
  const int64_t pages = (longest_context(request_) + kCachePageTokens - 1) / kCachePageTokens;
  f.memory_bytes =
      weight * real(f.parameters) + real(request_.batch) * real(pages * kCachePageTokens) * real(f.kv_bytes);
  return f;
}

}  // namespace mfa
