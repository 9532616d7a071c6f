#include "capacity/plan_count.h"

#include "capacity/layer_flops.h"

namespace mfa {
namespace {

constexpr double kMostParameters = 0x1p40;  // of any model (model/validate.cpp)

double real(int64_t n) { return static_cast<double>(n); }

}  // namespace

SpecCounter::SpecCounter(const PlanRequest& request)
    : request_(request),
      setting_{.hardware = &request.hardware,
               .devices = request.devices,
               .batch = request.batch,
               .weight_bits = request.weight_bits,
               .kv_bits = 8 * static_cast<int64_t>(size_of(request.kv_type))} {
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
    a.n_heads = spec.heads;
    a.kv_heads = spec.kv_heads;
    a.head_dim = a.value_dim = spec.head_dim;
    a.q_rank = spec.q_rank;
    if (mla) a.q_norm = spec.q_rank > 0;
    a.kv_rank = spec.kv_rank;
    a.rope_dim = spec.rope_dim;
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

DecodeWork SpecCounter::work_at(const PlanSpec& spec, int64_t context) const {
  const CostQuery query{.width = spec.width, .context = context, .kv_type = request_.kv_type};
  DecodeWork work;
  work.ffn_flops = outside_cost(model_, context).decode.total();
  for (size_t kind = 0; kind < counts_.size(); ++kind) {
    if (counts_[kind] == 0) continue;
    const CostLayer& layer = layers_[static_cast<size_t>(spec.variant)][kind];
    const Flops decode = inference_flops(layer, query, 1, context - 1, false);
    const double core = decode[FlopPart::core] + decode[FlopPart::softmax], times = real(counts_[kind]);
    // A layer that reads another's cache reads as many bytes as its owner.
    work.kv_bytes += times * real(sizes_[0].kv_bytes_per_token * visible_last(context, layer.attention.window));
    work.core_flops += times * core;
    work.linear_flops += times * (decode.total() - core);
  }
  return work;
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
  const double bytes_read = matrices * real(request_.weight_bits) / 8 + 4 * vectors;  // vectors are f32
  for (const int64_t context : request_.contexts)
    f.seconds += decode_step_seconds(work_at(spec, context), bytes_read, setting_);
  f.seconds /= real(static_cast<int64_t>(request_.contexts.size())) * real(request_.batch);
  f.memory_bytes = real(f.parameters) * real(request_.weight_bits) / 8 +
                   real(request_.batch) * real(longest_context(request_)) * real(f.kv_bytes);
  return f;
}

}  // namespace mfa
