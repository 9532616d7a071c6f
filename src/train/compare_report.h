// What `mfa compare` found, for programs (JSON), the terminal (a table) and people (report.html with plots).
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "capacity/capacity.h"
#include "model/model_config.h"

namespace mfa {

struct LossPoint {
  int64_t step = 0;
  double loss = 0;  // nats per token
};

// One training of one variant.
struct CompareRun {
  uint64_t seed = 0;
  double val_loss = 0;  // at the end, nats per token; NaN: the run diverged
  double lr = 0;        // peak learning rate, as a sweep may choose it
  std::vector<LossPoint> train_curve;
  std::vector<LossPoint> val_curve;
};

struct CompareRow {
  std::string attention;  // preset
  ModelConfig config;
  int64_t parameters = 0;
  int64_t kv_bytes_per_token = 0;            // from the spec
  int64_t kv_bytes_per_token_allocated = 0;  // bytes of a page ÷ its tokens, over the layers that own a cache
  LayerFigure slsd, frh, ter;
  std::vector<CompareRun> runs;                            // one a seed
  double train_tokens_per_s = 0, decode_tokens_per_s = 0;  // means over the runs; 0: not measured
};

// What was trained on what; every text is shown as it is given.
struct CompareSettings {
  std::string title = "Attention variants compared";
  std::vector<std::string> data;                                  // files and folders as given
  int64_t data_bytes = 0, train_tokens = 0, held_out_tokens = 0;  // of the corpus
  std::string tokenizer;                                          // "byte-level BPE, 4,096 tokens"
  int64_t steps = 0, batch = 0, context = 0;                      // one run sees steps · batch · context tokens
  double lr = 0;
  std::string precision, kv_type, machine, version, command_line;
  double seconds = 0;                                     // the whole comparison
  std::vector<std::pair<std::string, std::string>> more;  // further lines of the settings table: name, value

  int64_t tokens_per_run() const { return steps * batch * context; }
};

struct Comparison {
  CompareSettings settings;
  std::vector<CompareRow> rows;
};

// Mean and sample standard deviation (n − 1) of the runs' losses. One run: sd is 0. A diverged run makes both NaN.
struct LossSummary {
  double mean = 0, sd = 0;
};
LossSummary summarize(const std::vector<CompareRun>& runs);

// The row with the lowest mean loss; none when every row has diverged or has no run.
std::optional<size_t> best_row(const std::vector<CompareRow>& rows);

// Whether the losses of two rows lie so near each other that the spread over seeds explains it: their means differ by
// less than two standard errors of the difference. Unknown (empty) with fewer than two runs a row.
std::optional<bool> within_spread(const CompareRow& a, const CompareRow& b);

// Change of KV bytes against the row named "mha", as a share: −0.875. Empty when there is no such row.
std::optional<double> kv_change(const std::vector<CompareRow>& rows, const CompareRow& row);

// rows[] of `mfa compare --json`. A loss that is not a number is null.
nlohmann::ordered_json compare_json(const std::vector<CompareRow>& rows);

// Aligned columns with a mark at the best loss, and a line that says what the marks mean.
std::string compare_table(const std::vector<CompareRow>& rows);

// "± 0.004", or "–" for one run.
std::string spread_text(const CompareRow& row);

// A whole page: inline CSS and SVG, no scripts, nothing fetched.
std::string compare_html(const Comparison& comparison);

// Writes report.html into `folder`, whole or not at all. Throws Failure, naming the file, when the disk refuses.
void write_compare_report(const std::filesystem::path& folder, const Comparison& comparison);

}  // namespace mfa
