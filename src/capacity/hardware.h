// What a machine gives and costs: the other side of every roofline. Rows of a table that people may edit.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/file.h"
#include "formats/json.h"
#include "kernels/decode_rates.h"

namespace mfa {

// One accelerator card, or one CPU. 0 stands for "lacks it" or "not known" in every figure but bytes_per_s.
struct Hardware {
  std::string name;
  std::string source;       // where the figures come from
  double usd_per_hour = 0;  // of the card
  double bytes_per_s = 0;   // reading memory
  double flops_f32 = 0;     // multiply and add are 2; dense
  double flops_bf16 = 0;    // 0: it lacks the arithmetic; bf16 numbers are then computed with in f32
  double flops_8bit = 0;    // FP8 or INT8
  double memory_bytes = 0;
  double network_bytes_per_s = 0;  // of one server, which the cards in it share (Step-3's report: eight)
  int64_t threads = 0;             // CPUs: that the figures were measured with
  DecodeRates decode;              // CPUs: each operation of decoding, by `mfa info --cpu --measure`

  // The fastest arithmetic that works on operands of `bits` bits or more: 8-bit data on hardware without 8-bit
  // arithmetic runs in bf16, or f32, and f32 data runs in nothing less. 0 if it has none that is known.
  double flops(int64_t bits) const;
  double usd_per_flop(int64_t bits) const { return usd_per_hour / 3600 / flops(bits); }
  double usd_per_byte() const { return usd_per_hour / 3600 / bytes_per_s; }
  bool operator==(const Hardware&) const = default;
};

std::vector<Hardware> built_in_hardware();

// The built-in rows (data/hardware.json), then those of a file of the same form: a row of the same name takes the
// place of the built-in one. `file` empty: the user's own, if it exists (user_hardware_file()). BadInput names file,
// row and key for what is unknown, missing, of another type or out of range.
std::vector<Hardware> load_hardware(const fs::path& file = {});

// $XDG_CONFIG_HOME/mfa/hardware.json, or ~/.config/mfa/hardware.json; empty if neither variable is set.
fs::path user_hardware_file();

// The row of that name, letters of any case; BadInput lists the names there are.
Hardware find_hardware(std::span<const Hardware> rows, std::string_view name);

// `cards` of it as one machine: all figures but the network's and the threads' times so many; named "8xH800".
Hardware several(const Hardware& hardware, int64_t cards);

// {"hardware": [{"name": …, "bytes_per_s": …}, …]}. Figures that are 0 may be left out, and are.
std::vector<Hardware> hardware_from_json(const Json& document, std::string_view where);
OrderedJson hardware_to_json(std::span<const Hardware> rows);

// Puts a row into a file of that form, which need not exist yet, in the place of one of the same name; other rows stay.
// Atomic. BadInput when the file is there and no such table.
void save_hardware(const fs::path& file, const Hardware& row);

}  // namespace mfa
