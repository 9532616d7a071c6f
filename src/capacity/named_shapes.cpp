#include "capacity/named_shapes.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"

namespace mfa {
namespace {

constexpr std::array<std::string_view, 3> kShapes = {"paper-1b", "paper-7b", "step3"};
constexpr std::array<std::string_view, 6> kVariants = {"mha", "mqa", "gqa", "mla", "mfa", "mfa-kr"};
constexpr int64_t kStep3Experts = 5120;  // inner width of an expert, and of the shared one

AttentionSpec step3_attention(std::string_view preset) {
  PresetOptions o;
  o.width = 7168;
  o.layers = 1;
  if (preset == "mla") {
    o.heads = o.head_dim = 128;
    o.q_rank = 1536;
    o.kv_rank = 512;
    o.rope_dim = 64;
  } else if (preset == "mfa" || preset == "mfa-kr") {
    o.heads = 64;
    o.head_dim = 256;
    o.q_rank = 2048;
    o.q_norm = true;
  }
  return make_preset(preset, o).layers[0].attention;
}

CapacityRow step3_row(std::string_view preset, int64_t parameters, const CapacityOptions& options) {
  const auto counted = [&](int64_t expert_width) {
    return capacity_of(step3_model(preset, expert_width), "step3", options);
  };
  const CapacityRow published = counted(kStep3Experts);
  if (preset == "mfa") return published;
  const auto unit = static_cast<double>(counted(kStep3Experts + 1).parameters - published.parameters);
  const double missing = static_cast<double>(parameters - published.parameters) / unit;
  return counted(std::max<int64_t>(1, kStep3Experts + std::llround(missing / 8) * 8));
}

}  // namespace

std::span<const std::string_view> shape_names() { return kShapes; }

CostModel step3_model(std::string_view preset, int64_t expert_width) {
  CostModel model;
  model.width = 7168;
  model.vocab = 128815;
  model.context = 65536;
  model.tied = false;
  model.attention = preset;
  model.runs = false;
  model.notes.emplace_back("counted, not run: experts");
  CostLayer layer;
  layer.attention = cost_attention(step3_attention(preset), 0, true);
  for (int64_t i = 0; i < 61; ++i) {
    layer.ffn = {};
    if (i < 4 || i == 60) {
      layer.ffn.width = 18432;
    } else {
      layer.ffn.experts = 48;
      layer.ffn.top_k = 3;
      layer.ffn.expert_width = layer.ffn.shared_width = expert_width;
    }
    model.layers.push_back(layer);
  }
  return model;
}

std::vector<CapacityRow> capacity_of_shape(std::string_view name, const CapacityOptions& options) {
  if (std::find(kShapes.begin(), kShapes.end(), name) == kShapes.end())
    bad_input("[capacity] unknown shape, got {}, expected {}", name, fmt::join(kShapes, ", "));
  if (name != "step3") return capacity_of_variants(kVariants, paper_shape(name), name, options);
  std::vector<CapacityRow> rows;
  const int64_t parameters = capacity_of(step3_model(), name, options).parameters;
  for (const std::string_view preset : kVariants) rows.push_back(step3_row(preset, parameters, options));
  return rows;
}

}  // namespace mfa
