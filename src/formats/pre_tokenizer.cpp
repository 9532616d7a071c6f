#include "formats/pre_tokenizer.h"

#include <algorithm>

namespace mfa {
namespace {

struct Stretch {
  size_t begin, end;
  bool match;
};

// Matches and what lies between them, in order; together they are `text`.
std::vector<Stretch> stretches(const SplitStep& split, std::string_view text) {
  std::vector<Stretch> all;
  size_t at = 0;
  while (at < text.size()) {
    const auto match = split.regex.find(text, at);
    const size_t begin = match ? match->begin : text.size();
    if (begin > at) all.push_back({at, begin, split.invert});
    if (match) all.push_back({begin, match->end, !split.invert});
    at = match ? match->end : text.size();
  }
  return all;
}

// A match that follows no other match joins what stands before it in `all`.
std::vector<std::pair<size_t, size_t>> merged(const std::vector<Stretch>& all) {
  std::vector<std::pair<size_t, size_t>> out;
  bool previous = false;
  for (const Stretch& one : all) {
    if (one.match && !previous && !out.empty()) {
      out.back() = {std::min(out.back().first, one.begin), std::max(out.back().second, one.end)};
    } else {
      out.emplace_back(one.begin, one.end);
    }
    previous = one.match;
  }
  return out;
}

}  // namespace

std::vector<PreTokenizer::Range> PreTokenizer::ranges(const SplitStep& split, std::string_view text) {
  std::vector<Stretch> all = stretches(split, text);
  std::vector<Range> out;
  switch (split.behavior) {
    case SplitBehavior::merged_with_previous:
      return merged(all);
    case SplitBehavior::merged_with_next: {
      std::reverse(all.begin(), all.end());
      out = merged(all);
      std::reverse(out.begin(), out.end());
      return out;
    }
    case SplitBehavior::contiguous:
      for (size_t i = 0; i < all.size(); ++i) {
        if (i > 0 && all[i].match == all[i - 1].match) {
          out.back().second = all[i].end;
        } else {
          out.emplace_back(all[i].begin, all[i].end);
        }
      }
      return out;
    case SplitBehavior::removed:
    case SplitBehavior::isolated:
      break;
  }
  for (const Stretch& one : all) {
    if (!one.match || split.behavior == SplitBehavior::isolated) out.emplace_back(one.begin, one.end);
  }
  return out;
}

std::string PreTokenizer::with_marks(const MetaspaceStep& step, Piece piece) {
  std::string text;
  for (const char c : piece.text) {
    if (c == ' ') {
      text += step.mark;
    } else {
      text += c;
    }
  }
  const bool prepend =
      step.prepend == MetaspaceStep::Prepend::always || (step.prepend == MetaspaceStep::Prepend::first && piece.first);
  if (prepend && !text.starts_with(step.mark)) text.insert(0, step.mark);
  return text;
}

std::vector<PreTokenizer::Range> PreTokenizer::at_marks(const MetaspaceStep& step, std::string_view text) {
  std::vector<Range> out;
  size_t begin = 0;
  for (size_t at = text.find(step.mark, 1); at != std::string_view::npos; at = text.find(step.mark, at + 1)) {
    out.emplace_back(begin, at);
    begin = at;
  }
  out.emplace_back(begin, text.size());
  return out;
}

}  // namespace mfa
