// How capacity rows are shown: tables for people, JSON for programs.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>

#include "capacity/capacity.h"
#include "capacity/cost.h"

namespace mfa {

// Aligned columns; KV saving is against the first row, if that has a cache. Ends in a line that names T, and one a row
// for what is not counted or not run.
std::string capacity_table(std::span<const CapacityRow> rows);

// FLOPs of a decoded token by part, one column a row; parts that no row has are left out.
std::string flops_table(std::span<const CapacityRow> rows);

// What is asked about hardware and memory.
struct HardwareQuestion {
  std::vector<Hardware> hardware;
  DType weights = DType::bf16;   // what weights are stored in; chooses the arithmetic too
  std::optional<double> memory;  // bytes for weights and caches, in place of the hardware's own
  std::optional<int64_t> batch;  // sequences that decode together; else as many as fit
};

// One row's figures on one machine.
struct HardwareAnswer {
  DecodePrice price;        // of unbounded batches; infinite where no arithmetic is known
  double memory_bytes = 0;  // 0: not known
  int64_t sequences = -1;   // of T tokens that fit; −1: not known, or without end
  int64_t batch = 1;        // that `step` is for: as asked, or what fits, or 1
  DecodeStep step;
};
HardwareAnswer answer(const CapacityRow& row, const Hardware& hardware, const HardwareQuestion& question);

// USD for a million decoded tokens: one column a priced machine.
std::string price_table(std::span<const CapacityRow> rows, const HardwareQuestion& question);
// What fits and how fast the roofline lets it decode: one line a row and machine.
std::string throughput_table(std::span<const CapacityRow> rows, const HardwareQuestion& question);
// Sequences that fit into question.memory, which no machine need have: one line a row.
std::string memory_table(std::span<const CapacityRow> rows, const HardwareQuestion& question);

// The keys of `mfa capacity --json`. slsd, frh and ter are the mean over the layers; where layers differ,
// slsd_min, slsd_max, … are added. `question` adds hardware[] and, with a memory, sequences.
nlohmann::ordered_json capacity_json(const CapacityRow& row);
nlohmann::ordered_json capacity_json(const CapacityRow& row, const HardwareQuestion& question);

// "4096" or "128..512": a figure of all layers.
std::string figure_text(const LayerFigure& figure);

// A whole number as an integer, for JSON: 1200, not 1200.0.
nlohmann::ordered_json json_number(double value);

}  // namespace mfa
