// Capacity rows as the contract's JSON.
#include <cmath>

#include "capacity/capacity_table.h"

namespace mfa {
namespace {

using OrderedJson = nlohmann::ordered_json;

void add_figure(OrderedJson& json, const std::string& key, const LayerFigure& figure) {
  json[key] = json_number(figure.mean);
  if (figure.uniform()) return;
  json[key + "_min"] = json_number(figure.min);
  json[key + "_max"] = json_number(figure.max);
}

OrderedJson parts_json(const Flops& flops) {
  OrderedJson parts = OrderedJson::array();
  for (int i = 0; i < kFlopParts; ++i) {
    const auto part = static_cast<FlopPart>(i);
    parts.push_back({{"part", flop_part_name(part)}, {"flops", json_number(flops[part])}});
  }
  return parts;
}

OrderedJson hardware_json(const CapacityRow& row, const Hardware& hardware, const HardwareQuestion& question) {
  const HardwareAnswer a = answer(row, hardware, question);
  OrderedJson json = {{"name", hardware.name}};
  if (hardware.usd_per_hour > 0 && std::isfinite(a.price.total_usd())) {
    json["usd_per_million_tokens"] = a.price.total_usd();
    json["attention_usd_per_million_tokens"] = a.price.attention_usd;
    json["ffn_usd_per_million_tokens"] = a.price.ffn_usd;
  }
  if (a.memory_bytes > 0) json["memory_bytes"] = json_number(a.memory_bytes);
  if (a.sequences >= 0) json["sequences"] = a.sequences;
  if (a.batch < 1 || !std::isfinite(a.step.seconds)) return json;
  json["batch"] = a.batch;
  json["decode_bytes_per_step"] = json_number(std::round(a.step.bytes));
  json["decode_tokens_per_s_limit"] = a.step.tokens_per_s;
  json["bound"] = a.step.memory_bound ? "memory" : "compute";
  if (hardware.usd_per_hour > 0) json["usd_per_million_tokens_at_batch"] = a.step.usd_per_million_tokens;
  return json;
}

}  // namespace

OrderedJson json_number(double value) {
  // Beyond 2^53 a double no longer holds every integer; a cast would invent digits.
  if (std::abs(value) < 9007199254740992.0 && value == std::floor(value)) return static_cast<int64_t>(value);
  return value;
}

OrderedJson capacity_json(const CapacityRow& row) {
  OrderedJson json;
  json["name"] = row.name;
  json["attention"] = row.attention;
  json["convention"] = row.convention == Convention::exact ? "exact" : "step3-report";
  json["runs"] = row.runs;
  json["notes"] = row.notes;
  json["parameters"] = row.parameters;
  json["active_parameters"] = row.active_parameters;
  json["attention_parameters"] = row.attention_parameters;
  json["attention_parts"] = OrderedJson::object();
  for (const AttentionPart& part : row.attention_parts) json["attention_parts"][part.tensor] = part.parameters;
  json["ffn_parameters"] = row.ffn_parameters;
  json["kv_bytes_per_token"] = row.kv_bytes_per_token;
  json["state_bytes"] = row.state_bytes;
  json["kv_bytes_context"] = row.kv_bytes_context;
  json["kv_bytes_read_decode"] = json_number(row.work.kv_bytes);
  add_figure(json, "slsd", row.slsd);
  add_figure(json, "frh", row.frh);
  add_figure(json, "ter", row.ter);
  json["context"] = row.context;
  json["flops_per_token_prefill"] = json_number(row.flops_per_token_prefill);
  json["flops_per_token_decode"] = json_number(row.flops_per_token_decode);
  json["flops_per_token_train"] = json_number(row.flops_per_token_train);
  json["flops_per_token_train_exact"] = json_number(row.flops_per_token_train_exact);
  if (row.flops_per_token_prefill_absorbed > 0)
    json["flops_per_token_prefill_absorbed"] = json_number(row.flops_per_token_prefill_absorbed);
  json["flops_per_kv_byte"] = row.flops_per_kv_byte;
  json["flops_parts_prefill"] = parts_json(row.prefill);
  json["flops_parts_decode"] = parts_json(row.decode);
  json["flops_parts_train"] = parts_json(row.train);
  return json;
}

OrderedJson capacity_json(const CapacityRow& row, const HardwareQuestion& question) {
  OrderedJson json = capacity_json(row);
  json["weight_bytes"] = json_number(weight_bytes(row, question.weights));
  if (question.memory) {
    json["memory_bytes"] = json_number(*question.memory);
    json["sequences"] = sequences_that_fit(row, question.weights, *question.memory);
  }
  json["hardware"] = OrderedJson::array();
  for (const Hardware& hardware : question.hardware) json["hardware"].push_back(hardware_json(row, hardware, question));
  return json;
}

}  // namespace mfa
