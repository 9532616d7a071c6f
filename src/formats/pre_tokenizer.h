// Cuts text into the pieces ("words") that byte-pair merges do not cross.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "formats/byte_unicode.h"
#include "formats/regex.h"
#include "formats/utf8.h"

namespace mfa {

// GPT-2's pattern: contractions, words, numbers and punctuation with the space before them, runs of spaces.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kSpaceMark = "\u2581";  // ▁: SentencePiece's space

// What becomes of a match, as Hugging Face names it. Isolated: a piece of its own; contiguous: one piece with the
// matches beside it.
enum class SplitBehavior { isolated, removed, merged_with_previous, merged_with_next, contiguous };

// Cuts at the matches of a regex. Regexes see only valid UTF-8: each run of invalid bytes is a piece of its own, and
// ends the text for look-ahead on either side.
struct SplitStep {
  Regex regex;
  SplitBehavior behavior = SplitBehavior::isolated;
  bool invert = false;         // what lies between the matches counts as the matches
  bool on_byte_names = false;  // the regex sees GPT-2's names of the bytes, not the text: a step after ByteLevel
};

// A space before a piece that does not begin with one (ByteLevel's add_prefix_space).
struct PrefixSpaceStep {};

// Spaces become marks; a mark goes before the piece unless it has one; then, with `split`, every mark begins a piece.
struct MetaspaceStep {
  enum class Prepend { always, first, never };  // first: only where the piece begins the text
  std::string mark;
  Prepend prepend;
  bool split;
};

// Cuts before each ▁ that follows another character. Not of Hugging Face: see split_before_marks() in tokenizer.cpp.
struct MarkStep {};

using PreTokenizerStep = std::variant<SplitStep, PrefixSpaceStep, MetaspaceStep, MarkStep>;

// A list of steps. Each sees every piece that the ones before it left. No step: the text is one piece.
class PreTokenizer {
 public:
  PreTokenizer() = default;
  explicit PreTokenizer(std::vector<PreTokenizerStep> steps) : steps_(std::move(steps)) {}
  explicit PreTokenizer(std::vector<Regex> splits) {
    for (Regex& regex : splits) steps_.emplace_back(SplitStep{std::move(regex)});
  }

  // Calls visit(piece) for each piece from left to right; pieces are good until visit returns. Together they are
  // `text`, unless a step removes or adds. `first`: `text` begins the whole text.
  template <class Visit>
  void for_each_piece(std::string_view text, const Visit& visit, bool first = true) const {
    if (!text.empty()) step({text, first}, 0, visit);
  }

  const std::vector<PreTokenizerStep>& steps() const { return steps_; }

 private:
  struct Piece {
    std::string_view text;
    bool first;
  };
  using Range = std::pair<size_t, size_t>;

  // `level`: how many steps have seen this piece already; at most as many calls deep as there are steps.
  template <class Visit>
  void step(Piece piece, size_t level, const Visit& visit) const {
    if (level == steps_.size()) return visit(piece.text);
    const PreTokenizerStep& now = steps_[level];
    if (const auto* split = std::get_if<SplitStep>(&now)) {
      run(*split, piece, [&](Piece part) { step(part, level + 1, visit); });
    } else if (const auto* metaspace = std::get_if<MetaspaceStep>(&now)) {
      const std::string marked = with_marks(*metaspace, piece);
      const std::vector<Range> parts = metaspace->split ? at_marks(*metaspace, marked) : std::vector{whole(marked)};
      each(marked, piece.first, parts, [&](Piece part) { step(part, level + 1, visit); });
    } else if (std::holds_alternative<PrefixSpaceStep>(now)) {
      const std::string spaced = piece.text.starts_with(' ') ? std::string() : " " + std::string(piece.text);
      step({spaced.empty() ? piece.text : spaced, piece.first}, level + 1, visit);
    } else {
      cut_before_marks(piece, [&](Piece part) { step(part, level + 1, visit); });
    }
  }

  template <class Next>
  static void run(const SplitStep& split, Piece piece, const Next& next) {
    if (split.on_byte_names) {
      const std::string names = to_byte_names(piece.text);
      each(names, piece.first, ranges(split, names), [&](Piece part) {
        const std::string bytes = from_byte_names(part.text).value_or(std::string());
        next(Piece{bytes, part.first});
      });
      return;
    }
    bool first = piece.first;
    const auto with_first = [&](Piece part) {
      next(part);
      first = false;
    };
    for_each_stretch(
        piece.text,
        [&](std::string_view valid) {
          if (split.behavior == SplitBehavior::isolated) {
            isolate(split.regex, valid, [&](std::string_view part) { with_first({part, first}); });
          } else {
            each(valid, first, ranges(split, valid), with_first);
          }
        },
        [&](std::string_view invalid) {
          with_first({invalid, first});
        });
  }

  template <class Next>
  static void isolate(const Regex& regex, std::string_view text, const Next& next) {
    size_t at = 0;
    while (at < text.size()) {
      const auto match = regex.find(text, at);
      const size_t begin = match ? match->begin : text.size();
      if (begin > at) next(text.substr(at, begin - at));
      if (match) next(text.substr(begin, match->end - begin));
      at = match ? match->end : text.size();
    }
  }

  template <class Next>
  static void cut_before_marks(Piece piece, const Next& next) {
    size_t begin = 0;
    const std::string_view text = piece.text;
    for (size_t at = text.find(kSpaceMark, 1); at != std::string_view::npos; at = text.find(kSpaceMark, at + 1)) {
      if (text.substr(0, at).ends_with(kSpaceMark)) continue;
      next(Piece{text.substr(begin, at - begin), piece.first && begin == 0});
      begin = at;
    }
    next(Piece{text.substr(begin), piece.first && begin == 0});
  }

  template <class Next>
  static void each(std::string_view text, bool first, const std::vector<Range>& parts, const Next& next) {
    for (const auto& [begin, end] : parts) {
      if (end > begin) next(Piece{text.substr(begin, end - begin), first && begin == 0});
    }
  }

  static Range whole(std::string_view text) { return {0, text.size()}; }
  static std::vector<Range> ranges(const SplitStep& split, std::string_view text);
  static std::string with_marks(const MetaspaceStep& step, Piece piece);
  static std::vector<Range> at_marks(const MetaspaceStep& step, std::string_view text);

  std::vector<PreTokenizerStep> steps_;
};

}  // namespace mfa
