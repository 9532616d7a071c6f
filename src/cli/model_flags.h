// Flags that describe a model's shape, shared by train, compare, capacity and bench.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "model/presets.h"

namespace mfa {

struct ModelFlags {
  PresetOptions shape;
  std::string position = "rope", norm = "rms", rope_scaling = "none", reuse = "gated", reuse_at = "before_rope";
  bool untied = false;

  // Each flag shows its default; 0 stands for the preset's own choice.
  void add_to(CLI::App& app);
  // The shape with names turned into choices; BadInput for unknown ones.
  PresetOptions options() const;
};

}  // namespace mfa
