#include "capacity/plan_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text_table.h"
#include "capacity/capacity_table.h"
#include "capacity/cost.h"
#include "capacity/plan_order.h"
#include "capacity/plan_verdict.h"

namespace mfa {
namespace {

double usd_per_million(const PlanFigures& f, const PlanRequest& request) {
  return request.hardware.usd_per_hour / 3600 * f.seconds * 1e6;
}

CapacityRow capacity_row(const PlanSpec& spec, const PlanRequest& request) {
  return capacity_of(plan_config(spec, request.shape), sizes_text(spec),
                     {.context = longest_context(request), .kv_type = request.kv_type});
}

int64_t fit(const CapacityRow& row, const PlanRequest& request) {
  return sequences_that_fit(row, request.weights, request.hardware.memory_bytes);
}

std::string money_text(double usd) { return usd >= 100 ? fmt::format("{:.0f}", usd) : fmt::format("{:#.3g}", usd); }

std::string_view type_text(DType type) { return type == DType::i8 ? "int8" : name_of(type); }

std::string contexts_text(const PlanRequest& request) {
  std::vector<std::string> texts;
  for (const int64_t context : request.contexts) texts.push_back(grouped(context));
  return fmt::format("{}", fmt::join(texts, " and "));
}

std::string table_text(const Plan& plan, const PlanRequest& request, const std::vector<size_t>& rows) {
  const bool priced = request.hardware.usd_per_hour > 0, memory = request.hardware.memory_bytes > 0;
  TextTable table;
  table.add_column("#");
  table.add_column("attention", TextTable::Align::left);
  table.add_column("heads × dim", TextTable::Align::left);
  for (const char* title : {"width", "FFN", "params", "KV B/token", "TER", "SLSD", "tokens/s"}) table.add_column(title);
  if (priced) table.add_column("$/1M tokens");
  if (memory) table.add_column("sequences fit");
  for (const size_t index : rows) {
    const auto& [spec, f] = plan.front[index];
    std::vector<std::string> cells = {fmt::format("{}{}", index == plan.chosen ? "* " : "", index + 1),
                                      std::string(name_of(spec.variant)),
                                      sizes_text(spec),
                                      grouped(spec.width),
                                      grouped(spec.ffn),
                                      human_number(static_cast<double>(f.parameters)),
                                      grouped(f.kv_bytes),
                                      grouped(f.ter),
                                      grouped(f.slsd),
                                      human_number(1 / f.seconds)};
    if (priced) cells.push_back(money_text(usd_per_million(f, request)));
    if (memory) cells.push_back(grouped(fit(capacity_row(spec, request), request)));
    table.add_row(std::move(cells));
  }
  return table.render();
}

std::string compared_text(const PlanRequest& request) {
  constexpr std::array<std::string_view, kObjectives> kNames = {"TER", "SLSD", "cost", "KV bytes", "parameters"};
  std::vector<std::string_view> large, small;
  for (size_t i = 0; i < kObjectives; ++i)
    if (request.compared[i]) (i <= static_cast<size_t>(Objective::slsd) ? large : small).push_back(kNames[i]);
  std::string text = fmt::format("Compared: most {}", fmt::join(large, " and "));
  if (!small.empty()) text += fmt::format("; least {}", fmt::join(small, ", "));
  if (request.resolution > 0 && (request.compared[2] || request.compared[4]))
    text += fmt::format(". {} within {:.3g} % count as equal",
                        request.compared[2] && request.compared[4] ? "Costs and parameters"
                        : request.compared[2]                      ? "Costs"
                                                                   : "Parameters",
                        100 * request.resolution);
  return text + ".\n";
}

std::string notes_text(const Plan& plan, const PlanRequest& request, size_t shown) {
  std::string text =
      fmt::format("{} specs counted in {:.2f} s ({} a second); {} keep the bounds, {} of them are the front",
                  grouped(plan.counted), plan.seconds, human_number(static_cast<double>(plan.counted) / plan.seconds),
                  grouped(static_cast<int64_t>(plan.specs.size())), grouped(static_cast<int64_t>(plan.front.size())));
  text += shown < plan.front.size() ? fmt::format(", {} are shown. * is chosen.\n", shown) : ". * is chosen.\n";
  text += compared_text(request);
  text += fmt::format("Cost: decoding {} sequences at {} tokens on {}, {} weights, {} cache.\n", request.batch,
                      contexts_text(request), request.hardware.name, type_text(request.weights),
                      type_text(request.kv_type));
  text += "MLA's cache is counted as C + d_r numbers a token and layer, as published models store it.\n";
  const auto named = [&](Variant v) {
    return std::find(request.variants.begin(), request.variants.end(), v) != request.variants.end();
  };
  if (named(Variant::mfa) && named(Variant::mfa_kr))
    text += "TER and SLSD count dims: they cannot see what mfa-kr's one vector for key and value costs in quality.\n";
  return text;
}

double distance(const Objectives& a, const Objectives& b) {
  double sum = 0;
  for (size_t i = 0; i < kObjectives; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

}  // namespace

std::vector<size_t> shown_rows(const Plan& plan, const PlanRequest& request, size_t most) {
  std::vector<size_t> rows;
  if (most == 0 || plan.front.size() <= most) {
    for (size_t i = 0; i < plan.front.size(); ++i) rows.push_back(i);
    return rows;
  }
  const std::vector<Objectives> points = scaled_objectives(plan.front, request);
  std::vector<double> nearest(points.size(), std::numeric_limits<double>::infinity());  // to the rows taken so far
  const auto take = [&](size_t row) {
    if (rows.size() == most || nearest[row] < 0) return;
    rows.push_back(row);
    for (size_t i = 0; i < points.size(); ++i) nearest[i] = std::min(nearest[i], distance(points[i], points[row]));
    nearest[row] = -1;
  };
  take(plan.chosen);
  for (const VariantOutcome& outcome : plan.outcomes) {
    for (size_t i = 0; i < plan.front.size() && outcome.on_front > 0; ++i)
      if (plan.front[i].spec == outcome.best->spec) take(i);
  }
  while (rows.size() < most)
    take(static_cast<size_t>(std::max_element(nearest.begin(), nearest.end()) - nearest.begin()));
  std::sort(rows.begin(), rows.end());
  return rows;
}

std::string plan_text(const Plan& plan, const PlanRequest& request, const std::vector<size_t>& rows) {
  std::string text = table_text(plan, request, rows) + "\n" + notes_text(plan, request, rows.size()) + "\n";
  for (const VariantOutcome& outcome : plan.outcomes) text += verdict_text(outcome, plan, request) + "\n";
  return text;
}

nlohmann::ordered_json plan_json(const Plan& plan, const PlanRequest& request, const std::vector<size_t>& rows) {
  const auto row_json = [&](size_t index) {
    const auto& [spec, f] = plan.front[index];
    const CapacityRow row = capacity_row(spec, request);
    nlohmann::ordered_json json = capacity_json(row);
    json.update({{"row", index + 1},
                 {"width", spec.width},
                 {"heads", spec.heads},
                 {"kv_heads", spec.kv_heads},
                 {"head_dim", spec.head_dim},
                 {"q_rank", spec.q_rank},
                 {"kv_rank", spec.kv_rank},
                 {"rope_dim", spec.rope_dim},
                 {"ffn", spec.ffn},
                 {"decode_seconds_per_token", f.seconds},
                 {"decode_tokens_per_s", 1 / f.seconds},
                 {"memory_bytes", json_number(f.memory_bytes)}});
    if (request.hardware.usd_per_hour > 0) json["usd_per_million_tokens"] = usd_per_million(f, request);
    if (request.hardware.memory_bytes > 0) json["sequences_that_fit"] = fit(row, request);
    return json;
  };
  nlohmann::ordered_json json = {{"rows", nlohmann::ordered_json::array()}};
  for (const size_t index : rows) json["rows"].push_back(row_json(index));
  json["chosen"] = row_json(plan.chosen);
  json["front_size"] = plan.front.size();
  json["specs_counted"] = plan.counted;
  json["specs_within"] = plan.specs.size();
  json["seconds"] = plan.seconds;
  json["mla_cache"] = "C + d_r";
  json["variants"] = nlohmann::ordered_json::object();
  for (const VariantOutcome& outcome : plan.outcomes)
    json["variants"][std::string(name_of(outcome.variant))] = {{"specs_counted", outcome.counted},
                                                               {"specs_within", outcome.within},
                                                               {"on_front", outcome.on_front},
                                                               {"verdict", verdict_text(outcome, plan, request)}};
  return json;
}

}  // namespace mfa
