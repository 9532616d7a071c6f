#include "eval/divergence.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/thread_team.h"

namespace mfa {
namespace {

// Rows of logits held at a time, of both models: 2 · 64 · vocab floats.
constexpr int64_t kRows = 64;

double log_sum_exp(std::span<const float> x) {
  const double largest = static_cast<double>(*std::max_element(x.begin(), x.end()));
  double total = 0;
  for (const float v : x) total += std::exp(static_cast<double>(v) - largest);
  return largest + std::log(total);
}

// A model with its own cache and the window that it is reading.
struct Reader {
  Reader(Device& device, Engine& model, DType kv, int64_t positions)
      : engine(model), cache(device, model.config(), kv, positions) {}
  // Logits of the next tokens [n, vocab], or none.
  std::vector<float> read(Sequence& sequence, std::span<const int32_t> ids, bool wanted) {
    StepItem item{&sequence, ids, wanted ? Wanted::all_logits : Wanted::nothing, {}, {}};
    engine.step(cache, {&item, 1});
    return std::move(item.result);
  }
  Engine& engine;
  KvCache cache;
};

void read_window(Reader& model, Reader& reference, std::span<const int32_t> text, const Window& w, int32_t bos,
                 std::vector<RowDivergence>& rows) {
  const std::vector<int32_t> ids = window_ids(text, w, bos);
  Sequence a(model.cache), b(reference.cache);
  const std::span<const int32_t> given(ids.data(), static_cast<size_t>(w.scored_from));
  if (!given.empty()) {
    model.read(a, given, false);
    reference.read(b, given, false);
  }
  const int64_t vocab = model.engine.config().vocab, reference_vocab = reference.engine.config().vocab;
  for (int64_t t = w.scored_from; t < w.count; t += kRows) {
    const int64_t n = std::min(kRows, w.count - t);
    const std::span<const int32_t> next(ids.data() + t, static_cast<size_t>(n));
    const std::vector<float> logits = model.read(a, next, true), expected = reference.read(b, next, true);
    const size_t first = rows.size();
    rows.resize(first + static_cast<size_t>(n));
    parallel_for(n, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        rows[first + static_cast<size_t>(i)] =
            compare_row(std::span(logits).subspan(i * vocab, vocab),
                        std::span(expected).subspan(i * reference_vocab, reference_vocab), text[w.begin + t + i + 1]);
    });
  }
}

DivergenceResult summary(std::span<const RowDivergence> rows) {
  DivergenceResult r;
  r.tokens = static_cast<int64_t>(rows.size());
  const auto n = static_cast<double>(rows.size());
  std::vector<double> kl;
  for (const RowDivergence& row : rows) {
    kl.push_back(row.kl);
    r.kl_mean += row.kl / n;
    r.nll += row.nll;
    r.reference_nll += row.reference_nll;
    r.same_top += row.same_top ? 1 : 0;
    const double difference = std::exp(-row.nll) - std::exp(-row.reference_nll);
    r.probability_difference_mean += difference / n;
    r.probability_difference_rms += difference * difference / n;
  }
  r.same_top /= n;
  r.probability_difference_rms = std::sqrt(r.probability_difference_rms);
  r.kl_median = percentile(kl, 0.5);
  r.kl_90 = percentile(kl, 0.9);
  r.kl_95 = percentile(kl, 0.95);
  r.kl_99 = percentile(kl, 0.99);
  r.kl_max = percentile(kl, 1);
  return r;
}

}  // namespace

double percentile(std::vector<double>& values, double share) {
  std::sort(values.begin(), values.end());
  const double at = share * static_cast<double>(values.size() - 1), below = std::floor(at);
  const auto i = static_cast<size_t>(below);
  const double next = values[std::min(i + 1, values.size() - 1)];
  return values[i] + (at - below) * (next - values[i]);
}

RowDivergence compare_row(std::span<const float> logits, std::span<const float> reference, int32_t target) {
  const size_t n = std::min(logits.size(), reference.size());
  const std::span<const float> q = logits.first(n), p = reference.first(n);
  const double log_q = log_sum_exp(q), log_p = log_sum_exp(p);
  RowDivergence row;
  for (size_t i = 0; i < n; ++i) {
    const double lp = static_cast<double>(p[i]) - log_p;
    row.kl += std::exp(lp) * (lp - (static_cast<double>(q[i]) - log_q));
  }
  row.kl = std::max(row.kl, 0.0);  // rounding may leave −1e-16
  row.nll = log_q - static_cast<double>(q[static_cast<size_t>(target)]);
  row.reference_nll = log_p - static_cast<double>(p[static_cast<size_t>(target)]);
  row.same_top = std::max_element(q.begin(), q.end()) - q.begin() == std::max_element(p.begin(), p.end()) - p.begin();
  return row;
}

DivergenceResult divergence(Device& device, Engine& engine, Engine& reference, DType reference_kv,
                            std::span<const int32_t> ids, const PerplexityOptions& options,
                            const std::function<void(int64_t, int64_t)>& progress) {
  PerplexityOptions same = options;
  if (same.context == 0) same.context = engine.config().context;
  const std::vector<Window> windows = perplexity_windows(engine, static_cast<int64_t>(ids.size()), same);
  perplexity_windows(reference, static_cast<int64_t>(ids.size()), same);  // its positions must do too
  const int64_t vocab = std::min(engine.config().vocab, reference.config().vocab);
  for (const int32_t id : ids)
    if (id < 0 || id >= vocab) bad_input("[perplexity] token id, got {}, expected 0 to {}", id, vocab - 1);
  int64_t positions = 0;
  for (const Window& w : windows) positions = std::max(positions, w.count);
  Reader a(device, engine, options.kv_type, positions), b(device, reference, reference_kv, positions);
  std::vector<RowDivergence> rows;
  for (size_t i = 0; i < windows.size(); ++i) {
    read_window(a, b, ids, windows[i], options.bos, rows);
    if (progress) progress(static_cast<int64_t>(i) + 1, static_cast<int64_t>(windows.size()));
  }
  DivergenceResult result = summary(rows);
  result.windows = static_cast<int64_t>(windows.size());
  return result;
}

}  // namespace mfa
