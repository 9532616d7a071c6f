#include "train/compare_report.h"

#include <fmt/format.h>

#include <cmath>

#include "base/file.h"
#include "base/text_table.h"
#include "capacity/capacity_table.h"

namespace mfa {
namespace {

nlohmann::ordered_json loss_json(double loss) {
  if (!std::isfinite(loss)) return nullptr;
  return loss;
}

std::string loss_text(const CompareRow& row) {
  if (row.runs.empty()) return "–";
  const double mean = summarize(row.runs).mean;
  return std::isfinite(mean) ? fmt::format("{:.4f}", mean) : "diverged";
}

std::string rate_text(double per_second) { return per_second > 0 ? human_number(per_second) : "–"; }

std::string mark_of(const std::vector<CompareRow>& rows, size_t row, std::optional<size_t> best) {
  if (!best) return "";
  if (row == *best) return "*";
  return within_spread(rows[row], rows[*best]).value_or(false) ? "≈" : "";
}

}  // namespace

LossSummary summarize(const std::vector<CompareRun>& runs) {
  if (runs.empty()) return {};
  const auto count = static_cast<double>(runs.size());
  LossSummary summary;
  for (const CompareRun& run : runs) summary.mean += run.val_loss / count;
  double squares = 0;
  for (const CompareRun& run : runs) squares += (run.val_loss - summary.mean) * (run.val_loss - summary.mean);
  summary.sd = runs.size() > 1 ? std::sqrt(squares / (count - 1)) : squares;  // 0, or NaN for a diverged run
  return summary;
}

std::optional<size_t> best_row(const std::vector<CompareRow>& rows) {
  std::optional<size_t> best;
  double lowest = INFINITY;
  for (size_t i = 0; i < rows.size(); ++i) {
    const double mean = summarize(rows[i].runs).mean;
    if (rows[i].runs.empty() || !(mean < lowest)) continue;
    lowest = mean;
    best = i;
  }
  return best;
}

std::optional<bool> within_spread(const CompareRow& a, const CompareRow& b) {
  if (a.runs.size() < 2 || b.runs.size() < 2) return std::nullopt;
  const LossSummary x = summarize(a.runs), y = summarize(b.runs);
  const double variance =
      x.sd * x.sd / static_cast<double>(a.runs.size()) + y.sd * y.sd / static_cast<double>(b.runs.size());
  return std::abs(x.mean - y.mean) < 2 * std::sqrt(variance);
}

std::optional<double> kv_change(const std::vector<CompareRow>& rows, const CompareRow& row) {
  for (const CompareRow& other : rows) {
    if (other.attention != "mha" || other.kv_bytes_per_token <= 0) continue;
    return static_cast<double>(row.kv_bytes_per_token) / static_cast<double>(other.kv_bytes_per_token) - 1;
  }
  return std::nullopt;
}

nlohmann::ordered_json compare_json(const std::vector<CompareRow>& rows) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const CompareRow& row : rows) {
    const LossSummary loss = summarize(row.runs);
    nlohmann::ordered_json losses = nlohmann::ordered_json::array(), rates = losses;
    for (const CompareRun& run : row.runs) {
      losses.push_back(loss_json(run.val_loss));
      rates.push_back(run.lr);
    }
    json.push_back({{"attention", row.attention},
                    {"parameters", row.parameters},
                    {"kv_bytes_per_token", row.kv_bytes_per_token},
                    {"kv_bytes_per_token_allocated", row.kv_bytes_per_token_allocated},
                    {"slsd", json_number(row.slsd.mean)},
                    {"frh", json_number(row.frh.mean)},
                    {"ter", json_number(row.ter.mean)},
                    {"seeds", row.runs.size()},
                    {"val_loss", losses},
                    {"val_loss_mean", row.runs.empty() ? nlohmann::ordered_json() : loss_json(loss.mean)},
                    {"val_loss_sd", row.runs.empty() ? nlohmann::ordered_json() : loss_json(loss.sd)},
                    {"train_tokens_per_s", row.train_tokens_per_s},
                    {"decode_tokens_per_s", row.decode_tokens_per_s},
                    {"lr", rates}});
  }
  return json;
}

std::string spread_text(const CompareRow& row) {
  const double sd = summarize(row.runs).sd;
  return row.runs.size() < 2 || !std::isfinite(sd) ? "–" : fmt::format("± {:.4f}", sd);
}

std::string compare_table(const std::vector<CompareRow>& rows) {
  TextTable table;
  table.add_column("attention", TextTable::Align::left);
  for (const char* title : {"params", "KV B/token", "vs MHA", "SLSD", "FRH", "TER", "val loss"})
    table.add_column(title);
  table.add_column("", TextTable::Align::left);
  for (const char* title : {"spread", "seeds", "train tok/s", "decode tok/s"}) table.add_column(title);
  const std::optional<size_t> best = best_row(rows);
  bool near = false;
  for (size_t i = 0; i < rows.size(); ++i) {
    const CompareRow& row = rows[i];
    const std::optional<double> change = kv_change(rows, row);
    const std::string mark = mark_of(rows, i, best);
    near = near || mark == "≈";
    table.add_row({row.attention, human_number(static_cast<double>(row.parameters)), grouped(row.kv_bytes_per_token),
                   change && *change != 0 ? fmt::format("{:+.1f} %", 100 * *change) : "–", figure_text(row.slsd),
                   figure_text(row.frh), figure_text(row.ter), loss_text(row), mark, spread_text(row),
                   fmt::format("{}", row.runs.size()), rate_text(row.train_tokens_per_s),
                   rate_text(row.decode_tokens_per_s)});
  }
  std::string text = table.render();
  if (best) text += "* lowest validation loss (nats per token)";
  if (near) text += "; ≈ within two standard errors of it";
  return text + (best ? "\n" : "");
}

void write_compare_report(const std::filesystem::path& folder, const Comparison& comparison) {
  make_folder(folder);
  write_file(folder / "report.html", compare_html(comparison));
}

}  // namespace mfa
