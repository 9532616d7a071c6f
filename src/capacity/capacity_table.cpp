#include "capacity/capacity_table.h"

#include <fmt/format.h>

#include <cmath>

#include "base/text_table.h"

namespace mfa {
namespace {

void add_figure(nlohmann::ordered_json& json, const std::string& key, const LayerFigure& figure) {
  json[key] = json_number(figure.mean);
  if (figure.uniform()) return;
  json[key + "_min"] = json_number(figure.min);
  json[key + "_max"] = json_number(figure.max);
}

std::string saving_text(int64_t bytes, int64_t first) {
  if (first <= 0 || bytes == first) return "–";
  return fmt::format("{:+.1f} %", 100.0 * static_cast<double>(bytes - first) / static_cast<double>(first));
}

}  // namespace

nlohmann::ordered_json json_number(double value) {
  // Beyond 2^53 a double no longer holds every integer; a cast would invent digits.
  if (std::abs(value) < 9007199254740992.0 && value == std::floor(value)) return static_cast<int64_t>(value);
  return value;
}

std::string figure_text(const LayerFigure& figure) {
  if (figure.uniform()) return fmt::format("{:.0f}", figure.min);
  return fmt::format("{:.0f}..{:.0f}", figure.min, figure.max);
}

std::string capacity_table(std::span<const CapacityRow> rows) {
  TextTable table;
  table.add_column("name", TextTable::Align::left);
  table.add_column("attention", TextTable::Align::left);
  for (const char* title : {"params", "attention params", "KV B/token", "KV vs first", "SLSD", "FRH", "TER",
                            "prefill FLOP", "decode FLOP", "train FLOP"}) {
    table.add_column(title);
  }
  for (const CapacityRow& row : rows) {
    table.add_row({row.name, row.attention, human_number(static_cast<double>(row.parameters)),
                   human_number(static_cast<double>(row.attention_parameters)), grouped(row.kv_bytes_per_token),
                   saving_text(row.kv_bytes_per_token, rows.front().kv_bytes_per_token), figure_text(row.slsd),
                   figure_text(row.frh), figure_text(row.ter), human_number(row.flops_per_token_prefill),
                   human_number(row.flops_per_token_decode), human_number(row.flops_per_token_train)});
  }
  std::string text = table.render();
  if (!rows.empty()) text += fmt::format("FLOP are for one token, at a context of {} tokens.\n", rows.front().context);
  return text;
}

nlohmann::ordered_json capacity_json(const CapacityRow& row) {
  nlohmann::ordered_json json;
  json["name"] = row.name;
  json["attention"] = row.attention;
  json["parameters"] = row.parameters;
  json["active_parameters"] = row.active_parameters;
  json["attention_parameters"] = row.attention_parameters;
  json["attention_parts"] = nlohmann::ordered_json::object();
  for (const AttentionPart& part : row.attention_parts) json["attention_parts"][part.tensor] = part.parameters;
  json["kv_bytes_per_token"] = row.kv_bytes_per_token;
  add_figure(json, "slsd", row.slsd);
  add_figure(json, "frh", row.frh);
  add_figure(json, "ter", row.ter);
  json["context"] = row.context;
  json["flops_per_token_prefill"] = json_number(row.flops_per_token_prefill);
  json["flops_per_token_decode"] = json_number(row.flops_per_token_decode);
  json["flops_per_token_train"] = json_number(row.flops_per_token_train);
  json["flops_per_token_train_exact"] = json_number(row.flops_per_token_train_exact);
  return json;
}

}  // namespace mfa
