// How a text is cut into windows for scoring.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mfa {

enum class Score {
  all,        // every token but the first, each once, in the first window that reaches it
  last_half,  // llama.cpp's perplexity: whole windows beside each other, the tokens of the second half of each
};

struct WindowOptions {
  int64_t context = 0;  // tokens of a window
  int64_t stride = 0;   // windows start this far apart; 0: the context. Score::all only
  int64_t windows = 0;  // at most so many; 0: all
  Score score = Score::all;
};

// Tokens ids[begin, begin + count) go in; target t is ids[begin + t + 1], and targets [scored_from, count) count.
struct Window {
  int64_t begin = 0, count = 0, scored_from = 0;
  bool operator==(const Window&) const = default;
};

// At least one window. BadInput when the text is too short (2 tokens, or one window for last_half) or the options do
// not fit each other.
std::vector<Window> cut_windows(int64_t tokens, const WindowOptions& options);

// A window's tokens; `bos` ≥ 0 stands in for the first, as models that were trained with BOS first expect.
std::vector<int32_t> window_ids(std::span<const int32_t> ids, const Window& window, int32_t bos);

}  // namespace mfa
