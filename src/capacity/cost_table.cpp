// Money, memory and roofline throughput of capacity rows, as tables.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/file.h"
#include "base/text_table.h"
#include "capacity/capacity_table.h"

namespace mfa {
namespace {

int64_t bits_of(DType type) { return static_cast<int64_t>(size_of(type)) * 8; }

// As --weights calls it.
std::string_view type_text(DType type) { return type == DType::i8 ? "int8" : name_of(type); }

std::string usd_text(double usd) { return std::isfinite(usd) ? fmt::format("{:.3g}", usd) : "–"; }

std::string sequences_text(int64_t sequences) { return sequences < 0 ? "–" : grouped(sequences); }

void name_columns(TextTable& table) {
  table.add_column("name", TextTable::Align::left);
  table.add_column("attention", TextTable::Align::left);
}

}  // namespace

HardwareAnswer answer(const CapacityRow& row, const Hardware& hardware, const HardwareQuestion& question) {
  const bool report = row.convention == Convention::step3_report;
  HardwareAnswer a;
  // The report computes in 8 bits wherever the card can.
  a.price = decode_price(row.work, hardware, report ? 8 : bits_of(question.weights));
  a.memory_bytes = question.memory.value_or(hardware.memory_bytes);
  if (a.memory_bytes > 0) a.sequences = sequences_that_fit(row, question.weights, a.memory_bytes);
  a.batch = question.batch ? *question.batch : a.memory_bytes > 0 && a.sequences >= 0 ? a.sequences : 1;
  if (a.batch > 0) a.step = decode_step(row, hardware, question.weights, a.batch);
  return a;
}

std::string price_table(std::span<const CapacityRow> rows, const HardwareQuestion& question) {
  TextTable table;
  name_columns(table);
  std::vector<Hardware> priced;
  for (const Hardware& hardware : question.hardware)
    if (hardware.usd_per_hour > 0) priced.push_back(hardware);
  if (priced.empty()) return "";
  for (const Hardware& hardware : priced) table.add_column(hardware.name);
  for (const CapacityRow& row : rows) {
    std::vector<std::string> cells = {row.name, row.attention};
    for (const Hardware& hardware : priced) {
      const DecodePrice price = answer(row, hardware, question).price;
      cells.push_back(usd_text(price.total_usd()));
    }
    table.add_row(std::move(cells));
  }
  return "USD for a million decoded tokens at T, hardware fully used, weights read for free (docs/capacity.md):\n" +
         table.render();
}

std::string throughput_table(std::span<const CapacityRow> rows, const HardwareQuestion& question) {
  TextTable table;
  name_columns(table);
  table.add_column("hardware", TextTable::Align::left);
  for (const char* name : {"weights", "memory", "sequences", "batch", "tokens/s", "bound", "USD/1M"})
    table.add_column(name);
  for (const CapacityRow& row : rows) {
    for (const Hardware& hardware : question.hardware) {
      const HardwareAnswer a = answer(row, hardware, question);
      const bool runs = a.batch > 0 && std::isfinite(a.step.seconds);
      const auto bytes = [](double n) { return n > 0 ? human_bytes(static_cast<uint64_t>(n)) : std::string("–"); };
      table.add_row({row.name, row.attention, hardware.name, bytes(weight_bytes(row, question.weights)),
                     bytes(a.memory_bytes), sequences_text(a.sequences), grouped(a.batch),
                     runs ? human_number(a.step.tokens_per_s) : "–",
                     runs ? (a.step.memory_bound ? "memory" : "compute") : "–",
                     runs && hardware.usd_per_hour > 0 ? usd_text(a.step.usd_per_million_tokens) : "–"});
    }
  }
  return fmt::format(
             "What fits, and the most that the roofline lets decode (sequences of T tokens, weights in {}, read once a "
             "step):\n",
             type_text(question.weights)) +
         table.render();
}

std::string memory_table(std::span<const CapacityRow> rows, const HardwareQuestion& question) {
  TextTable table;
  name_columns(table);
  for (const char* name : {"weights", "KV of a sequence", "sequences that fit"}) table.add_column(name);
  for (const CapacityRow& row : rows) {
    table.add_row({row.name, row.attention, human_bytes(static_cast<uint64_t>(weight_bytes(row, question.weights))),
                   human_bytes(static_cast<uint64_t>(row.kv_bytes_context)),
                   sequences_text(sequences_that_fit(row, question.weights, *question.memory))});
  }
  return fmt::format("Sequences of T tokens in {}, beside weights in {}:\n",
                     human_bytes(static_cast<uint64_t>(*question.memory)), type_text(question.weights)) +
         table.render();
}

}  // namespace mfa
