#include "eval/perplexity.h"

#include <algorithm>
#include <deque>

#include "base/error.h"

namespace mfa {
namespace {

// One window in a step: tokens before the first target that counts need no logits.
struct Scored {
  Scored(KvCache& cache, std::span<const int32_t> text, const Window& w, int32_t bos)
      : sequence(cache),
        ids(window_ids(text, w, bos)),
        targets(text.subspan(w.begin + 1, w.count)),
        from(w.scored_from) {}
  void add_to(std::vector<StepItem>& items) {
    const std::span<const int32_t> all = ids;
    if (from > 0) items.push_back({&sequence, all.first(from), Wanted::nothing, {}, {}});
    items.push_back({&sequence, all.subspan(from), Wanted::losses, targets.subspan(from), {}});
  }
  Sequence sequence;
  std::vector<int32_t> ids;
  std::span<const int32_t> targets;
  int64_t from;
};

int64_t longest(std::span<const Window> windows) {
  int64_t most = 0;
  for (const Window& w : windows) most = std::max(most, w.count);
  return most;
}

}  // namespace

std::vector<Window> perplexity_windows(const Engine& engine, int64_t tokens, const PerplexityOptions& options) {
  std::vector<Window> windows =
      cut_windows(tokens, {.context = options.context > 0 ? options.context : engine.config().context,
                           .stride = options.stride,
                           .windows = options.windows,
                           .score = options.score});
  if (longest(windows) > engine.positions())
    bad_input("[perplexity] a window has {} tokens, expected at most {}", longest(windows), engine.positions());
  return windows;
}

PerplexityResult perplexity(Device& device, Engine& engine, std::span<const int32_t> ids,
                            const PerplexityOptions& options, const std::function<void(int64_t, int64_t)>& progress) {
  if (options.sequences < 1) bad_input("[perplexity] sequences, got {}, expected at least 1", options.sequences);
  const std::vector<Window> windows = perplexity_windows(engine, static_cast<int64_t>(ids.size()), options);
  const auto all = static_cast<int64_t>(windows.size()), together = std::min(options.sequences, all);
  KvCache cache(device, engine.config(), options.kv_type, together * (longest(windows) + 64));
  PerplexityResult result;
  for (int64_t first = 0; first < all; first += together) {
    const int64_t n = std::min(all - first, together);
    std::deque<Scored> scored;
    std::vector<StepItem> items;
    for (int64_t i = 0; i < n; ++i) scored.emplace_back(cache, ids, windows[first + i], options.bos).add_to(items);
    engine.step(cache, items);
    for (const StepItem& item : items)
      for (const float loss : item.result) {
        result.nll += static_cast<double>(loss);
        ++result.tokens;
      }
    result.windows += n;
    if (progress) progress(result.windows, all);
  }
  return result;
}

}  // namespace mfa
