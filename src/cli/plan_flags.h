// Flags of mfa plan: what is given, what is held, what is searched.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "capacity/plan.h"

namespace mfa {

struct PlanFlags {
  void add_to(CLI::App& app);
  // BadInput names the flag that makes no sense.
  PlanRequest request() const;

 private:
  void add_givens(CLI::App& app);
  void add_search(CLI::App& app);
  void add_choice(CLI::App& app);
  void add_shape(CLI::App& app);
  PresetOptions shape(const PlanRequest& request) const;
  Hardware hardware(DType weights) const;
  void set_parameters(PlanRequest& request) const;

  // Lists and ranges: "64", "16,32", "32..256:32"; empty: the default grid.
  std::string width_, heads_, kv_heads_, head_dim_, q_rank_, kv_rank_, rope_dim_, ffn_, context_ = "8192";
  std::string parameters_, ffn_ratio_ = "2..4", hardware_ = "H800", hardware_file_, kv_ = "bf16", weights_ = "bf16",
                           grid_ = "default", pick_ = "ter", position_ = "rope", norm_ = "rms", reuse_ = "gated",
                           reuse_at_ = "before_rope";
  std::vector<std::string> variants_ = {"mha", "mqa", "gqa", "mla", "mfa", "mfa-kr"}, hold_, objectives_;
  bool untied_ = false;
  int64_t train_context_ = 0, cards_ = 1;
  PlanRequest request_;
  PresetOptions shape_;
};

}  // namespace mfa
