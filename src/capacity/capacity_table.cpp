#include "capacity/capacity_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text_table.h"

namespace mfa {
namespace {

std::string saving_text(int64_t bytes, int64_t first) {
  if (first <= 0 || bytes == first) return "–";
  return fmt::format("{:+.1f} %", 100.0 * static_cast<double>(bytes - first) / static_cast<double>(first));
}

// Rows of one name, such as the variants of a shape, are told apart by their attention.
std::string title(const CapacityRow& row, std::span<const CapacityRow> rows) {
  const auto same = std::count_if(rows.begin(), rows.end(), [&](const CapacityRow& r) { return r.name == row.name; });
  return same > 1 || row.name == row.attention ? row.attention : row.name;
}

std::string notes_of(std::span<const CapacityRow> rows) {
  std::string text;
  std::vector<std::string> seen;
  for (const CapacityRow& row : rows) {
    for (const std::string& note : row.notes) {
      std::string line = fmt::format("{}: {}.\n", row.name, note);
      if (std::find(seen.begin(), seen.end(), line) != seen.end()) continue;
      text += line;
      seen.push_back(std::move(line));
    }
  }
  return text;
}

}  // namespace

std::string figure_text(const LayerFigure& figure) {
  if (figure.uniform()) return fmt::format("{:.0f}", figure.min);
  return fmt::format("{:.0f}..{:.0f}", figure.min, figure.max);
}

std::string capacity_table(std::span<const CapacityRow> rows) {
  const auto any = [&](auto has) { return std::any_of(rows.begin(), rows.end(), has); };
  const bool active = any([](const CapacityRow& r) { return r.active_parameters != r.parameters; });
  const bool state = any([](const CapacityRow& r) { return r.state_bytes > 0; });
  TextTable table;
  table.add_column("name", TextTable::Align::left);
  table.add_column("attention", TextTable::Align::left);
  table.add_column("params");
  if (active) table.add_column("active");
  for (const char* name : {"attention params", "KV B/token", "KV vs first"}) table.add_column(name);
  if (state) table.add_column("state B");
  for (const char* name : {"KV at T", "SLSD", "FRH", "TER", "FLOP/KV B", "prefill FLOP", "decode FLOP", "train FLOP"})
    table.add_column(name);
  for (const CapacityRow& row : rows) {
    std::vector<std::string> cells = {row.name, row.attention, human_number(static_cast<double>(row.parameters))};
    if (active) cells.push_back(human_number(static_cast<double>(row.active_parameters)));
    cells.push_back(human_number(static_cast<double>(row.attention_parameters)));
    cells.push_back(grouped(row.kv_bytes_per_token));
    cells.push_back(saving_text(row.kv_bytes_per_token, rows.front().kv_bytes_per_token));
    if (state) cells.push_back(human_number(static_cast<double>(row.state_bytes)));
    cells.push_back(human_bytes(static_cast<uint64_t>(row.kv_bytes_context)));
    for (const LayerFigure* figure : {&row.slsd, &row.frh, &row.ter}) cells.push_back(figure_text(*figure));
    cells.push_back(fmt::format("{:.3g}", row.flops_per_kv_byte));
    for (const double flops : {row.flops_per_token_prefill, row.flops_per_token_decode, row.flops_per_token_train})
      cells.push_back(human_number(flops));
    table.add_row(std::move(cells));
  }
  std::string text = table.render();
  if (rows.empty()) return text;
  const bool contexts = any([&](const CapacityRow& r) { return r.context != rows.front().context; });
  text += contexts ? "FLOP are for one token, at each model's own context (--context sets one for all).\n"
                   : fmt::format("FLOP are for one token, at a context of T = {} tokens.\n", rows.front().context);
  if (rows.front().convention == Convention::step3_report)
    text += "Counted as the tables of arXiv 2507.19427: attention core, projections and FFN only; 8-bit cache.\n";
  return text + notes_of(rows);
}

std::string flops_table(std::span<const CapacityRow> rows) {
  TextTable table;
  table.add_column("decode FLOP", TextTable::Align::left);
  for (const CapacityRow& row : rows) table.add_column(title(row, rows));
  for (int i = 0; i < kFlopParts; ++i) {
    const auto part = static_cast<FlopPart>(i);
    const bool exact = !rows.empty() && rows.front().convention == Convention::exact;
    const bool shown = (exact && part == FlopPart::embedding) ||
                       std::any_of(rows.begin(), rows.end(), [&](const CapacityRow& r) { return r.decode[part] > 0; });
    if (!shown) continue;
    std::vector<std::string> cells = {std::string(flop_part_name(part))};
    for (const CapacityRow& row : rows) cells.push_back(human_number(row.decode[part]));
    table.add_row(std::move(cells));
  }
  return table.render();
}

}  // namespace mfa
