// Small models with random weights, for tests.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/random.h"
#include "model/init.h"
#include "model/parameter_store.h"
#include "model/presets.h"

namespace mfa::test {

// Every parameter random, gates and norms included: nothing hides behind a zero or a one.
inline void randomise(ParameterStore& store, uint64_t seed, double sd = 0.3) {
  for (const ParameterSpec& spec : store.table()) {
    Random random(seed, hash64(spec.name));
    std::vector<double> values(static_cast<size_t>(spec.size()));
    const bool norm = spec.vector && spec.name.ends_with("norm.weight");
    for (double& x : values) x = (norm ? 1 : 0) + sd * random.normal();
    store.upload_f64(spec, values);
  }
}

inline std::vector<int32_t> random_ids(int64_t n, int64_t vocab, uint64_t seed) {
  Random random(seed, 99);
  std::vector<int32_t> ids(static_cast<size_t>(n));
  for (int32_t& id : ids) id = static_cast<int32_t>(random.below(static_cast<uint64_t>(vocab)));
  return ids;
}

struct ModelCase {
  std::string name;
  std::string preset;
  PresetOptions options;
};

// Every preset with every position, every form of key reuse on both sides of RoPE, and the options that change a path.
inline std::vector<ModelCase> model_cases() {
  std::vector<ModelCase> cases;
  PresetOptions base;
  base.width = 16;
  base.layers = 2;
  base.vocab = 11;
  base.context = 8;
  base.heads = 4;
  base.head_dim = 4;
  base.ffn = 12;
  const auto add = [&](std::string name, std::string preset, auto&& change) {
    PresetOptions o = base;
    if (preset == "fpba") o.width = 6, o.heads = o.head_dim = 0;
    if (preset == "gqa") o.kv_heads = 2;
    change(o);
    cases.push_back({std::move(name), std::move(preset), o});
  };
  for (const std::string_view preset : preset_names())
    for (const auto& [label, kind] : {std::pair("rope", PositionKind::rope), std::pair("alibi", PositionKind::alibi),
                                      std::pair("none", PositionKind::none)}) {
      std::string name = std::string(preset) + "_" + label;
      std::replace(name.begin(), name.end(), '-', '_');
      add(name, std::string(preset), [k = kind](PresetOptions& o) { o.position = k; });
    }
  for (const auto& [label, form] : {std::pair("identity", KeyReuse::identity), std::pair("map", KeyReuse::map),
                                    std::pair("residual", KeyReuse::residual), std::pair("gated", KeyReuse::gated)})
    for (const auto& [side, at] : {std::pair("before", ReuseAt::before_rope), std::pair("after", ReuseAt::after_rope)})
      add(std::string("kr_") + label + "_" + side, "mfa-kr",
          [f = form, a = at](PresetOptions& o) { o.reuse = f, o.reuse_at = a; });
  add("mfa_rank_norm", "mfa", [](PresetOptions& o) { o.q_rank = 6, o.q_norm = true; });
  add("mha_bias", "mha", [](PresetOptions& o) { o.qkv_bias = o.o_bias = o.ffn_bias = true; });
  add("gqa_qk_norm", "gqa", [](PresetOptions& o) { o.qk_norm = true; });
  add("mfa_qk_norm", "mfa", [](PresetOptions& o) { o.qk_norm = true; });
  add("kr_qk_norm", "mfa-kr", [](PresetOptions& o) { o.qk_norm = true; });
  add("kr_qk_norm_after", "mfa-kr", [](PresetOptions& o) { o.qk_norm = true, o.reuse_at = ReuseAt::after_rope; });
  add("mha_layer_norm_untied", "mha", [](PresetOptions& o) { o.norm = ModelNorm::layer, o.tied = false; });
  add("mha_window", "mha", [](PresetOptions& o) { o.window = 3; });
  add("mla_dense_bias", "mla", [](PresetOptions& o) { o.o_bias = true; });
  for (const char* preset : {"mha", "mla", "mfa", "mfa-kr", "fpba"}) {
    std::string name = std::string(preset) + "_shared";
    std::replace(name.begin(), name.end(), '-', '_');
    add(name, preset, [](PresetOptions& o) { o.layers = 3, o.share_cache = 3; });
  }
  add("kr_after_shared", "mfa-kr",
      [](PresetOptions& o) { o.layers = 2, o.share_cache = 2, o.reuse_at = ReuseAt::after_rope; });
  return cases;
}

}  // namespace mfa::test
