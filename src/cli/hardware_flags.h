// Flags about machines, memory and batches, shared by what counts costs.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "capacity/capacity_table.h"

namespace mfa {

DType parse_weights(const std::string& text);  // f32, bf16 or int8; BadInput for others

struct HardwareFlags {
  std::vector<std::string> names;
  std::string file, weights = "bf16";
  uint64_t memory = 0;
  int64_t batch = 0, cards = 1;

  void add_to(CLI::App& app);
  // Rows were named with --hardware, so that details about them are wanted.
  bool named() const { return !names.empty(); }
  // The rows that were named, or all of the table, each as --cards of them. BadInput for unknown names, a bad table, an
  // unknown type.
  std::vector<Hardware> rows() const;
  HardwareQuestion question() const;
};

}  // namespace mfa
