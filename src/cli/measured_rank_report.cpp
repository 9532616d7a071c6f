#include "measured_rank_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <span>

#include "base/text_table.h"
#include "model/model_folder.h"

namespace mfa {
namespace {

// Of one figure over the heads of a layer.
struct HeadsFigure {
  double least = 0, mean = 0, most = 0;
  template <class Figure>
  HeadsFigure(std::span<const HeadRank> heads, const Figure& figure) {
    least = most = figure(heads.front());
    for (const HeadRank& head : heads) {
      const double x = figure(head);
      least = std::min(least, x);
      most = std::max(most, x);
      mean += x / static_cast<double>(heads.size());
    }
  }
};

std::string rank_cell(std::span<const HeadRank> heads, CircuitRank HeadRank::*circuit) {
  const HeadsFigure f(heads, [&](const HeadRank& h) { return static_cast<double>((h.*circuit).rank); });
  return f.least == f.most ? fmt::format("{:.0f}", f.least) : fmt::format("{:.0f}–{:.0f}", f.least, f.most);
}

std::string stable_cell(std::span<const HeadRank> heads, CircuitRank HeadRank::*circuit) {
  const HeadsFigure f(heads, [&](const HeadRank& h) { return (h.*circuit).stable_rank; });
  return fmt::format("{:.1f} ({:.1f}–{:.1f})", f.mean, f.least, f.most);
}

}  // namespace

MeasuredRank measure_model_rank(const std::filesystem::path& model, const ModelConfig& config, double tolerance) {
  const std::unique_ptr<WeightFile> file = open_weights(model);
  file->check(config);
  const auto read = [&](const ParameterSpec& spec) {
    std::vector<float> numbers(static_cast<size_t>(spec.size()));
    file->read(config, spec, numbers);
    return numbers;
  };
  return measure_rank(config, read, tolerance);
}

std::string measured_rank_table(const std::string& name, const MeasuredRank& rank) {
  TextTable table;
  for (const char* title :
       {"layer", "heads", "W_c ≤", "rank W_c", "stable rank W_c", "U_c ≤", "rank U_c", "stable rank U_c"})
    table.add_column(title);
  const std::span<const HeadRank> all(rank.heads);
  for (size_t begin = 0; begin < all.size();) {
    size_t end = begin;
    while (end < all.size() && all[end].layer == all[begin].layer) ++end;
    const std::span<const HeadRank> heads = all.subspan(begin, end - begin);
    table.add_row({fmt::to_string(heads[0].layer), fmt::to_string(heads.size()), fmt::to_string(heads[0].qk.bound),
                   rank_cell(heads, &HeadRank::qk), stable_cell(heads, &HeadRank::qk),
                   fmt::to_string(heads[0].vo.bound), rank_cell(heads, &HeadRank::vo),
                   stable_cell(heads, &HeadRank::vo)});
    begin = end;
  }
  return fmt::format(
      "{}: ranks of each head's W_c (query · key) and U_c (value · output); singular values above {:.1e} of the "
      "largest count; stable rank is the sum of squares over the largest square: mean (least–most)\n{}ranks summed "
      "over the heads, mean of the layers: W_c {:.1f}, U_c {:.1f}\n",
      name, rank.tolerance, table.render(), rank.ter_qk, rank.ter_vo);
}

nlohmann::ordered_json measured_rank_json(const MeasuredRank& rank) {
  nlohmann::ordered_json heads = nlohmann::ordered_json::array();
  for (const HeadRank& h : rank.heads)
    heads.push_back({{"layer", h.layer},
                     {"head", h.head},
                     {"qk_rank", h.qk.rank},
                     {"qk_rank_bound", h.qk.bound},
                     {"qk_stable_rank", h.qk.stable_rank},
                     {"qk_largest", h.qk.largest},
                     {"vo_rank", h.vo.rank},
                     {"vo_rank_bound", h.vo.bound},
                     {"vo_stable_rank", h.vo.stable_rank},
                     {"vo_largest", h.vo.largest}});
  return {{"tolerance", rank.tolerance}, {"ter_qk", rank.ter_qk}, {"ter_vo", rank.ter_vo}, {"heads", heads}};
}

}  // namespace mfa
