#include "eval/windows.h"

#include <algorithm>

#include "base/error.h"

namespace mfa {
namespace {

std::vector<Window> cut_all(int64_t tokens, int64_t context, int64_t stride) {
  std::vector<Window> windows;
  int64_t done = 0;  // targets scored so far; target i is ids[i + 1]
  for (int64_t begin = 0; done < tokens - 1; begin += stride) {
    const int64_t count = std::min(context, tokens - 1 - begin);
    windows.push_back({begin, count, done - begin});
    done = begin + count;
  }
  return windows;
}

// The last token of a window is a target only; the token at context / 2 is the first whose successor counts.
std::vector<Window> cut_last_half(int64_t tokens, int64_t context) {
  if (tokens < context)
    bad_input("[perplexity] the text is too short, got {} tokens, expected at least one window of {}", tokens, context);
  std::vector<Window> windows;
  for (int64_t begin = 0; begin + context <= tokens; begin += context)
    windows.push_back({begin, context - 1, context / 2});
  return windows;
}

}  // namespace

std::vector<Window> cut_windows(int64_t tokens, const WindowOptions& o) {
  const int64_t stride = o.stride > 0 ? o.stride : o.context;
  if (tokens < 2) bad_input("[perplexity] the text is too short, got {} tokens, expected at least 2", tokens);
  if (o.context < 1 || o.stride < 0 || stride > o.context)
    bad_input("[perplexity] context {} and stride {} do not fit, expected a stride of at most the context", o.context,
              stride);
  if (o.windows < 0) bad_input("[perplexity] windows, got {}, expected 0 (all) or more", o.windows);
  if (o.score == Score::last_half && (o.context < 3 || stride != o.context))
    bad_input(
        "[perplexity] scoring last halves with context {} and stride {}, expected a context of 3 or more and no stride",
        o.context, stride);
  std::vector<Window> windows =
      o.score == Score::all ? cut_all(tokens, o.context, stride) : cut_last_half(tokens, o.context);
  if (o.windows > 0 && static_cast<int64_t>(windows.size()) > o.windows) windows.resize(static_cast<size_t>(o.windows));
  return windows;
}

std::vector<int32_t> window_ids(std::span<const int32_t> ids, const Window& window, int32_t bos) {
  const auto from = ids.begin() + window.begin;
  std::vector<int32_t> inside(from, from + window.count);
  if (bos >= 0 && !inside.empty()) inside.front() = bos;
  return inside;
}

}  // namespace mfa
