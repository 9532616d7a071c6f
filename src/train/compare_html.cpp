// The page of `mfa compare`.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>

#include "base/file.h"
#include "base/plot_svg.h"
#include "base/text_table.h"
#include "capacity/capacity_table.h"
#include "train/compare_report.h"
#include "train/describe_model.h"

namespace mfa {
namespace {

constexpr std::string_view kCss = R"(
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h1{font-size:1.7rem;margin-bottom:.3rem}h2{font-size:1.2rem;margin-top:2.2rem}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .6rem;border-bottom:1px solid #8884;text-align:right;white-space:nowrap}
th:first-child,td:first-child,.facts td,.facts th{text-align:left}.facts td{white-space:normal;overflow-wrap:anywhere}
tr.best td{font-weight:600;background:#1a9a7622}.scroll{overflow-x:auto}
p,ul,dl{max-width:46rem}dt{font-weight:600}dd{margin:0 0 .6rem 0}figure{margin:1rem 0}.small{font-size:.85rem;opacity:.8}
@media (prefers-color-scheme:dark){body{color:#ddd;background:#1b1d20}}
)";

using Facts = std::vector<std::pair<std::string, std::string>>;

std::string facts_table(const Facts& facts) {
  std::string html = "<div class=\"scroll\"><table class=\"facts\">\n";
  for (const auto& [name, value] : facts) {
    if (value.empty()) continue;
    html += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escape_markup(name), escape_markup(value));
  }
  return html + "</table></div>\n";
}

std::string duration_text(double seconds) {
  if (!(seconds > 0)) return "";
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  return seconds < 7200 ? fmt::format("{:.0f} min", seconds / 60) : fmt::format("{:.1f} h", seconds / 3600);
}

Facts settings_facts(const CompareSettings& s) {
  std::string data;
  for (const std::string& path : s.data) data += (data.empty() ? "" : ", ") + path;
  Facts facts = {{"data", data},
                 {"text", s.data_bytes > 0 ? fmt::format("{}; {} tokens to train on, {} held out",
                                                         human_bytes(static_cast<uint64_t>(s.data_bytes)),
                                                         grouped(s.train_tokens), grouped(s.held_out_tokens))
                                           : ""},
                 {"tokenizer", s.tokenizer},
                 {"one run", fmt::format("{} steps of {} sequences of {} tokens: {} tokens", grouped(s.steps),
                                         grouped(s.batch), grouped(s.context), grouped(s.tokens_per_run()))},
                 {"peak learning rate", s.lr > 0 ? fmt::format("{}", s.lr) : ""},
                 {"precision", s.precision},
                 {"cache numbers", s.kv_type},
                 {"machine", s.machine},
                 {"time in all", duration_text(s.seconds)},
                 {"program", s.version},
                 {"command", s.command_line}};
  facts.insert(facts.end(), s.more.begin(), s.more.end());
  return facts;
}

std::string cells(const std::vector<std::string>& texts) {
  std::string html;
  for (const std::string& text : texts) html += "<td>" + escape_markup(text) + "</td>";
  return html;
}

std::string loss_cell(const CompareRow& row) {
  const double mean = summarize(row.runs).mean;
  if (row.runs.empty()) return "–";
  return std::isfinite(mean) ? fmt::format("{:.4f}", mean) : "diverged";
}

std::string rate_cell(double rate) { return rate > 0 ? human_number(rate) : "–"; }

std::string result_table(const std::vector<CompareRow>& rows) {
  std::string html = "<div class=\"scroll\"><table>\n<tr>";
  for (const char* title : {"attention", "parameters", "KV bytes/token", "allocated", "against MHA", "SLSD", "FRH",
                            "TER", "validation loss", "spread", "seeds", "train tokens/s", "decode tokens/s"}) {
    html += fmt::format("<th scope=\"col\">{}</th>", title);
  }
  html += "</tr>\n";
  const std::optional<size_t> best = best_row(rows);
  for (size_t i = 0; i < rows.size(); ++i) {
    const CompareRow& row = rows[i];
    const std::optional<double> change = kv_change(rows, row);
    html += best == i ? "<tr class=\"best\">" : "<tr>";
    html += cells({row.attention, grouped(row.parameters), grouped(row.kv_bytes_per_token),
                   grouped(row.kv_bytes_per_token_allocated),
                   change && *change != 0 ? fmt::format("{:+.1f} %", 100 * *change) : "–", figure_text(row.slsd),
                   figure_text(row.frh), figure_text(row.ter), loss_cell(row), spread_text(row),
                   fmt::format("{}", row.runs.size()), rate_cell(row.train_tokens_per_s),
                   rate_cell(row.decode_tokens_per_s)});
    html += "</tr>\n";
  }
  return html +
         "</table></div>\n<p class=\"small\">Loss is in nats per token of the held-out text; the lowest mean is "
         "highlighted. Spread is the standard deviation over seeds.</p>\n";
}

std::vector<PlotPoint> points_of(const std::vector<LossPoint>& curve, int64_t from_step) {
  std::vector<PlotPoint> points;
  for (const LossPoint& p : curve) {
    if (p.step >= from_step) points.push_back({static_cast<double>(p.step), p.loss});
  }
  return points;
}

// One series a run; the first run of a variant carries its name, the others are fainter.
std::vector<PlotSeries> curves(const std::vector<CompareRow>& rows, std::vector<LossPoint> CompareRun::*curve,
                               int64_t from_step) {
  std::vector<PlotSeries> all;
  for (size_t i = 0; i < rows.size(); ++i) {
    for (size_t run = 0; run < rows[i].runs.size(); ++run) {
      PlotSeries series;
      series.name = run == 0 ? rows[i].attention : "";
      series.color = static_cast<int>(i);
      series.faint = run > 0;
      series.points = points_of(rows[i].runs[run].*curve, from_step);
      all.push_back(std::move(series));
    }
  }
  return all;
}

bool has_points(const std::vector<PlotSeries>& series) {
  return std::any_of(series.begin(), series.end(), [](const PlotSeries& s) { return s.points.size() > 1; });
}

std::string figure(const std::string& svg, std::string_view caption) {
  return fmt::format("<figure>\n{}<figcaption class=\"small\">{}</figcaption>\n</figure>\n", svg, caption);
}

std::string loss_curves(const Comparison& c) {
  std::string html;
  const std::vector<PlotSeries> train = curves(c.rows, &CompareRun::train_curve, 1);
  if (has_points(train)) {
    html += figure(line_chart(train, {"Training loss", "step (logarithmic)", "loss, nats per token", true, true}),
                   "Each line is one run; further seeds of a variant are fainter. Long curves are averaged over "
                   "neighbouring steps.");
  }
  // The start, where all variants fall alike, would squeeze the differences at the end into one line.
  const std::vector<PlotSeries> validation =
      curves(c.rows, &CompareRun::val_curve, std::max<int64_t>(1, c.settings.steps / 4));
  if (has_points(validation)) {
    html += figure(line_chart(validation, {"Validation loss, last three quarters", "step", "loss, nats per token"}),
                   "The vertical axis does not start at zero.");
  }
  return html;
}

std::string loss_against_cache(const std::vector<CompareRow>& rows) {
  std::vector<PlotMark> marks;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].runs.empty()) continue;
    const LossSummary loss = summarize(rows[i].runs);
    marks.push_back({rows[i].attention, static_cast<double>(rows[i].kv_bytes_per_token), loss.mean, loss.mean - loss.sd,
                     loss.mean + loss.sd, static_cast<int>(i)});
  }
  PlotStyle style{"Loss against cache", "KV bytes per token (logarithmic)", "validation loss, nats per token"};
  style.log_x = true;
  return figure(scatter_chart(marks, style),
                "Lower and further left is better. Bars: one standard deviation over seeds, up and down. The vertical "
                "axis does not start at zero. Diverged variants are missing.");
}

std::string spread_sentence(const std::vector<CompareRow>& rows) {
  const std::optional<size_t> best = best_row(rows);
  if (!best) return "No run ended with a finite loss.";
  if (rows[*best].runs.size() < 2) {
    return "There is one seed a variant, so the table cannot tell a difference from chance: run with --seeds 3 or more "
           "before you conclude anything from differences of a few hundredths.";
  }
  std::string near;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i == *best || !within_spread(rows[i], rows[*best]).value_or(false)) continue;
    near += (near.empty() ? "" : ", ") + escape_markup(rows[i].attention);
  }
  const std::string name = escape_markup(rows[*best].attention);
  if (near.empty()) {
    return fmt::format("{} has the lowest mean loss, by more than two standard errors against every other variant.",
                       name);
  }
  return fmt::format(
      "{} has the lowest mean loss, but these lie within two standard errors of it, so that chance may "
      "explain the order: {}.",
      name, near);
}

constexpr std::string_view kSharedRate =
    "<li>All variants were trained with the same settings. A learning rate or an initialisation that suits one may not "
    "suit another; --lr-sweep looks for each one's own.</li>\n";
constexpr std::string_view kOwnRate =
    "<li>Each run used the peak learning rate listed with its variant below; all other settings are shared.</li>\n";

bool one_learning_rate(const std::vector<CompareRow>& rows) {
  std::set<double> rates;
  for (const CompareRow& row : rows) {
    for (const CompareRun& run : row.runs) rates.insert(run.lr);
  }
  return rates.size() <= 1;
}

std::string caveats(const Comparison& c) {
  int64_t fewest = 0, most = 0;
  for (const CompareRow& row : c.rows) {
    fewest = fewest == 0 ? row.parameters : std::min(fewest, row.parameters);
    most = std::max(most, row.parameters);
  }
  const double difference = fewest > 0 ? 100.0 * static_cast<double>(most - fewest) / static_cast<double>(fewest) : 0;
  const double epochs = c.settings.train_tokens > 0 ? static_cast<double>(c.settings.tokens_per_run()) /
                                                          static_cast<double>(c.settings.train_tokens)
                                                    : 0;
  std::string html = "<ul>\n<li>" + spread_sentence(c.rows) + "</li>\n";
  html += fmt::format(
      "<li>These are small models: {} to {} parameters (a difference of {:.2f} %), trained on {} tokens "
      "each. The order may change with size and with more tokens.</li>\n",
      human_number(static_cast<double>(fewest)), human_number(static_cast<double>(most)), difference,
      human_number(static_cast<double>(c.settings.tokens_per_run())));
  if (epochs > 1) html += fmt::format("<li>Each run saw the training text {:.1f} times.</li>\n", epochs);
  html += one_learning_rate(c.rows) ? kSharedRate : kOwnRate;
  html +=
      "<li>Validation loss is one measure, on held-out text of the same source. It says nothing about recall over long "
      "contexts or about tasks.</li>\n"
      "<li>Speeds are those of this machine and this program.</li>\n</ul>\n";
  return html;
}

constexpr std::string_view kHowToRead = R"(<dl>
<dt>KV bytes per token</dt><dd>What one token leaves in the key/value cache, over all layers that own one. It bounds how
many tokens fit into memory, and at long contexts decoding takes the time to read it. "Allocated" is what the cache pages
really take.</dd>
<dt>SLSD, shared latent subspace dimension</dt><dd>The dimension of the space that the keys and values of all heads live
in.</dd>
<dt>FRH, factorization rank per head</dt><dd>The rank of what one head can compute: of its query-key form and of its
value-output map. Full attention without any factorization would have the width of the model.</dd>
<dt>TER, total effective rank</dt><dd>Heads times FRH. MFA raises it by many wide heads, whose low-rank queries make them
cheap, while the cache stays that of one head.</dd>
<dt>Spread</dt><dd>The same variant, trained from other random starts on data in another order, ends at other losses. A
difference between variants means something only when it is large against that.</dd>
</dl>
)";

std::string configs(const std::vector<CompareRow>& rows) {
  std::string html;
  for (const CompareRow& row : rows) {
    html += fmt::format("<details><summary>{}</summary>\n", escape_markup(row.attention));
    Facts facts = describe_model(row.config);
    std::string rates;
    for (const CompareRun& run : row.runs) {
      rates += fmt::format("{}seed {}: {:.4f}", rates.empty() ? "" : "; ", run.seed, run.val_loss);
      if (run.lr > 0) rates += fmt::format(" (peak learning rate {})", run.lr);
    }
    facts.emplace_back("runs", rates);
    html += facts_table(facts) + "</details>\n";
  }
  return html;
}

}  // namespace

std::string compare_html(const Comparison& c) {
  const std::string title = escape_markup(c.settings.title);
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\">\n<title>{0}</title>\n<style>{1}</style>\n"
      "</head>\n<body>\n<h1>{0}</h1>\n",
      title, kCss);
  html +=
      fmt::format("<p>{} variants of attention, each trained from scratch on the same text for as many steps.</p>\n",
                  c.rows.size());
  html += "<h2>Result</h2>\n" + result_table(c.rows) + loss_against_cache(c.rows);
  html += "<h2>What to make of it</h2>\n" + caveats(c);
  html += "<h2>Loss curves</h2>\n" + loss_curves(c);
  html += "<h2>What was trained on what</h2>\n" + facts_table(settings_facts(c.settings));
  html += "<h2>The variants</h2>\n" + configs(c.rows);
  html += "<h2>How to read it</h2>\n";
  html += kHowToRead;
  return html + "</body>\n</html>\n";
}

}  // namespace mfa
