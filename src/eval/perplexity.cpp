#include "eval/perplexity.h"

#include <algorithm>
#include <deque>

#include "base/error.h"

namespace mfa {
namespace {

struct Window {
  int64_t begin, count;  // tokens ids[begin, begin + count) go in; their successors are targets
  int64_t scored_from;   // the first target that counts, from begin
};

std::vector<Window> cut(int64_t tokens, int64_t context, int64_t stride) {
  std::vector<Window> windows;
  int64_t done = 0;  // targets scored so far; target i is ids[i + 1]
  for (int64_t begin = 0; done < tokens - 1; begin += stride) {
    const int64_t count = std::min(context, tokens - 1 - begin);
    windows.push_back({begin, count, done - begin});
    done = begin + count;
  }
  return windows;
}

}  // namespace

PerplexityResult perplexity(Device& device, Engine& engine, std::span<const int32_t> ids,
                            const PerplexityOptions& options, const std::function<void(int64_t, int64_t)>& progress) {
  const auto tokens = static_cast<int64_t>(ids.size());
  const int64_t context = options.context > 0 ? options.context : engine.config().context;
  const int64_t stride = options.stride > 0 ? options.stride : context;
  if (tokens < 2) bad_input("[perplexity] the text is too short, got {} tokens, expected at least 2", tokens);
  if (context < 1 || context > engine.positions() || stride > context)
    bad_input(
        "[perplexity] context {} and stride {} do not fit, expected a context of at most {} and a stride of at most "
        "that",
        context, stride, engine.positions());
  const std::vector<Window> windows = cut(tokens, context, stride);
  KvCache cache(device, engine.config(), options.kv_type, options.sequences * (context + 64));
  PerplexityResult result;
  for (size_t first = 0; first < windows.size(); first += static_cast<size_t>(options.sequences)) {
    const size_t n = std::min(windows.size() - first, static_cast<size_t>(options.sequences));
    std::deque<Sequence> sequences;
    std::vector<StepItem> items;
    for (size_t i = 0; i < n; ++i) {
      const Window& w = windows[first + i];
      sequences.emplace_back(cache);
      items.push_back(
          {&sequences.back(), ids.subspan(w.begin, w.count), Wanted::losses, ids.subspan(w.begin + 1, w.count), {}});
    }
    engine.step(cache, items);
    for (size_t i = 0; i < n; ++i)
      for (int64_t t = windows[first + i].scored_from; t < windows[first + i].count; ++t) {
        result.nll += static_cast<double>(items[i].result[t]);
        ++result.tokens;
      }
    if (progress) progress(static_cast<int64_t>(first + n), static_cast<int64_t>(windows.size()));
  }
  return result;
}

}  // namespace mfa
