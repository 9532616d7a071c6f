#include "train/compare_report.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>

#include "base/file.h"
#include "model/presets.h"
#include "train/describe_model.h"

namespace mfa {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

CompareRow make_row(std::string_view preset, std::vector<double> losses) {
  PresetOptions shape;
  shape.width = 256;
  shape.layers = 2;
  CompareRow row;
  row.attention = preset;
  row.config = make_preset(preset, shape);
  const CapacityRow capacity = capacity_of(row.config, preset);
  row.parameters = capacity.parameters;
  row.kv_bytes_per_token = row.kv_bytes_per_token_allocated = capacity.kv_bytes_per_token;
  row.slsd = capacity.slsd;
  row.frh = capacity.frh;
  row.ter = capacity.ter;
  for (size_t i = 0; i < losses.size(); ++i) {
    CompareRun run;
    run.seed = i + 1;
    run.val_loss = losses[i];
    for (int64_t step = 1; step <= 100; ++step) {
      const double loss = losses[i] + 5 / std::sqrt(static_cast<double>(step));
      run.train_curve.push_back({step, loss});
      if (step % 10 == 0) run.val_curve.push_back({step, loss});
    }
    row.runs.push_back(run);
  }
  return row;
}

Comparison three_variants() {
  Comparison c;
  c.settings.data = {"text<1>.txt"};
  c.settings.data_bytes = 4400000;
  c.settings.train_tokens = 1000000;
  c.settings.held_out_tokens = 50000;
  c.settings.tokenizer = "byte-level BPE";
  c.settings.steps = 100;
  c.settings.batch = 8;
  c.settings.context = 256;
  c.rows = {make_row("mha", {2.42, 2.40}), make_row("mfa", {2.41, 2.39}), make_row("mfa-kr", {2.60, 2.62})};
  return c;
}

TEST(LossSummary, IsTheMeanAndTheSampleDeviation) {
  const LossSummary s = summarize(make_row("mha", {1, 2, 4}).runs);
  EXPECT_NEAR(s.mean, 7.0 / 3, 1e-15);
  EXPECT_NEAR(s.sd, std::sqrt(7.0 / 3), 1e-15);  // squares 16/9 + 1/9 + 25/9, over n − 1 = 2
  EXPECT_EQ(summarize(make_row("mha", {2.5}).runs).sd, 0);
  EXPECT_TRUE(std::isnan(summarize(make_row("mha", {2.5, kNan}).runs).mean));
  EXPECT_TRUE(std::isnan(summarize(make_row("mha", {kNan}).runs).sd));
}

TEST(CompareRows, KnowTheBestAndWhatChanceMayExplain) {
  const std::vector<CompareRow> rows = three_variants().rows;
  ASSERT_EQ(best_row(rows), std::optional<size_t>(1));
  EXPECT_EQ(within_spread(rows[0], rows[1]), std::optional<bool>(true));
  EXPECT_EQ(within_spread(rows[2], rows[1]), std::optional<bool>(false));
  EXPECT_EQ(within_spread(rows[0], make_row("mfa", {2.4})), std::nullopt);
  EXPECT_EQ(best_row({make_row("mha", {kNan}), make_row("mfa", {3}), make_row("mqa", {})}), std::optional<size_t>(1));
  EXPECT_EQ(best_row({make_row("mha", {kNan})}), std::nullopt);
}

TEST(CompareRows, SaveCacheAgainstMha) {
  const std::vector<CompareRow> rows = three_variants().rows;
  EXPECT_EQ(*kv_change(rows, rows[1]), 2.0 * 32 / (2 * 256) - 1);
  EXPECT_EQ(*kv_change(rows, rows[2]), 32.0 / (2 * 256) - 1);
  EXPECT_EQ(kv_change({rows[1]}, rows[1]), std::nullopt);
}

TEST(CompareJson, HasThePublishedKeys) {
  const nlohmann::ordered_json json = compare_json(three_variants().rows);
  ASSERT_EQ(json.size(), 3u);
  const auto& row = json[1];
  EXPECT_EQ(row["attention"], "mfa");
  EXPECT_EQ(row["kv_bytes_per_token"], 2 * 2 * 32 * 2);
  EXPECT_EQ(row["kv_bytes_per_token_allocated"], row["kv_bytes_per_token"]);
  EXPECT_EQ(row["seeds"], 2);
  EXPECT_EQ(row["val_loss"], (nlohmann::ordered_json{2.41, 2.39}));
  EXPECT_NEAR(row["val_loss_mean"].get<double>(), 2.40, 1e-12);
  for (const char* key :
       {"parameters", "slsd", "frh", "ter", "val_loss_sd", "train_tokens_per_s", "decode_tokens_per_s"}) {
    EXPECT_TRUE(row[key].is_number()) << key;
  }
  const nlohmann::ordered_json diverged = compare_json({make_row("mha", {kNan})});
  EXPECT_TRUE(diverged[0]["val_loss"][0].is_null());
  EXPECT_TRUE(diverged[0]["val_loss_mean"].is_null());
}

TEST(CompareTable, MarksTheBestAndItsNeighbours) {
  const std::string text = compare_table(three_variants().rows);
  EXPECT_NE(text.find("2.4000  *"), std::string::npos) << text;
  EXPECT_NE(text.find("2.4100  ≈"), std::string::npos) << text;
  EXPECT_NE(text.find("-87.5 %"), std::string::npos) << text;
  EXPECT_NE(text.find("-93.8 %"), std::string::npos) << text;
  EXPECT_EQ(compare_table({make_row("mha", {kNan})}).find('*'), std::string::npos);
}

TEST(CompareHtml, IsSelfContainedAndEscaped) {
  const std::string html = compare_html(three_variants());
  EXPECT_NE(html.find("text&lt;1&gt;.txt"), std::string::npos);
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find("src="), std::string::npos);
  EXPECT_EQ(html.find("href="), std::string::npos);
  EXPECT_NE(html.find("204,800 tokens"), std::string::npos);  // steps · batch · context
  size_t plots = 0;
  for (size_t at = html.find("<svg"); at != std::string::npos; at = html.find("<svg", at + 1)) ++plots;
  EXPECT_EQ(plots, 3u);
}

TEST(CompareHtml, SaysWhatTheSeedsCanTell) {
  EXPECT_NE(compare_html(three_variants()).find("chance may explain the order: mha."), std::string::npos);
  Comparison one_seed = three_variants();
  for (CompareRow& row : one_seed.rows) row.runs.resize(1);
  EXPECT_NE(compare_html(one_seed).find("There is one seed a variant"), std::string::npos);
  Comparison diverged = three_variants();
  diverged.rows = {make_row("mha", {kNan})};
  EXPECT_NE(compare_html(diverged).find("No run ended with a finite loss."), std::string::npos);
}

TEST(CompareHtml, SaysWhetherLearningRatesDiffer) {
  Comparison c = three_variants();
  EXPECT_NE(compare_html(c).find("All variants were trained with the same settings."), std::string::npos);
  c.rows[1].runs[0].lr = 0.002;
  EXPECT_NE(compare_html(c).find("Each run used the peak learning rate listed"), std::string::npos);
}

TEST(CompareReport, IsWrittenIntoTheFolder) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "mfa_compare_report" / "new";
  std::filesystem::remove_all(folder.parent_path());
  const Comparison comparison = three_variants();
  write_compare_report(folder, comparison);
  EXPECT_EQ(read_file(folder / "report.html"), compare_html(comparison));
  std::filesystem::remove_all(folder.parent_path());
}

TEST(DescribeModel, JoinsEqualLayers) {
  PresetOptions shape;
  shape.width = 256;
  shape.layers = 4;
  ModelConfig config = make_preset("mfa-kr", shape);
  config.layers[3].window = 64;
  const auto lines = describe_model(config);
  ASSERT_EQ(lines.size(), 7u);
  EXPECT_EQ(lines[5].first, "layers 0–2");
  EXPECT_NE(lines[5].second.find("v = k + α ⊙ N k (key before RoPE)"), std::string::npos) << lines[5].second;
  EXPECT_EQ(lines[6].first, "layer 3");
  EXPECT_NE(lines[6].second.find("window 64"), std::string::npos);
}

}  // namespace
}  // namespace mfa
