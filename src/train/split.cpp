#include "train/split.h"

#include <algorithm>

#include "base/file.h"
#include "train/safe_cut.h"

namespace mfa {
namespace {

constexpr int64_t documents_for_choice = 20;
constexpr size_t line_search_bytes = 64 << 10;  // how far a line's end is looked for at the cut
constexpr int bucket_bits = 16;

// TextSource promises that the first piece of a document has head_bytes of it, or is the whole.
size_t bucket_of(std::string_view document) {
  return hash64(document.substr(0, TextSource::head_bytes)) >> (64 - bucket_bits);
}

// Takes buckets in the order of the hash until the share is reached, passing over those that would take far more.
std::vector<bool> choose_buckets(const std::vector<int64_t>& bytes, double target) {
  std::vector<bool> chosen(bytes.size(), false);
  double held = 0;
  for (size_t b = 0; b < bytes.size() && held < target; ++b) {
    const auto next = static_cast<double>(bytes[b]);
    if (next == 0 || held + next > 1.5 * target) continue;
    chosen[b] = true;
    held += next;
  }
  if (held < 0.5 * target) chosen.clear();
  return chosen;
}

// Where in `text` to cut, near `at`: after it, at the next end of a line or of a document; else at the last line's end
// before it; else at the character itself.
size_t cut_near(const TextChunk& chunk, size_t at) {
  const std::string_view text = chunk.text;
  const size_t window = std::min(text.size(), at + line_search_bytes);
  size_t best = std::string_view::npos;
  if (const size_t line = text.substr(0, window).find('\n', at); line != std::string_view::npos) best = line + 1;
  const auto end = std::lower_bound(chunk.ends.begin(), chunk.ends.end(), at);
  if (end != chunk.ends.end() && *end <= window && *end < text.size()) best = std::min(best, *end);
  if (best < text.size()) return best;
  const size_t before = text.substr(0, at).rfind('\n');
  if (before != std::string_view::npos && at - before <= line_search_bytes) return before + 1;
  return character_boundary(text, at);
}

}  // namespace

SplitPlan plan_split(TextSource& source, double share, const std::function<void(int64_t)>& progress) {
  SplitPlan plan;
  std::vector<int64_t> bucket_bytes(size_t{1} << bucket_bits, 0);
  TextChunk chunk;
  size_t bucket = 0;
  bool inside = false;
  while (source.next(chunk)) {
    const std::string_view text = chunk.text;
    size_t begin = 0;
    const auto add = [&](size_t end) {
      if (!inside) bucket = bucket_of(text.substr(begin, end - begin));
      bucket_bytes[bucket] += static_cast<int64_t>(end - begin);
      begin = end;
    };
    for (const size_t end : chunk.ends) add(end), inside = false, ++plan.documents;
    if (begin < text.size()) add(text.size()), inside = true;
    plan.bytes += static_cast<int64_t>(text.size());
    progress(source.position());
  }
  const double target = share * static_cast<double>(plan.bytes);
  if (plan.documents >= documents_for_choice) plan.held_out_buckets = choose_buckets(bucket_bytes, target);
  plan.held_out_from = plan.bytes - static_cast<int64_t>(target);
  return plan;
}

void Splitter::split(const TextChunk& chunk, std::vector<Piece>& pieces) {
  const auto size = static_cast<int64_t>(chunk.text.size());
  if (plan_.held_out_buckets.empty() && cut_ < 0 && plan_.held_out_from < position_ + size)
    cut_ = position_ + static_cast<int64_t>(cut_near(chunk, static_cast<size_t>(plan_.held_out_from - position_)));
  const std::string_view text = chunk.text;
  size_t begin = 0;
  for (const size_t end : chunk.ends) {
    add(text.substr(begin, end - begin), true, pieces);
    begin = end;
  }
  if (begin < text.size()) add(text.substr(begin), false, pieces);
}

void Splitter::add(std::string_view text, bool ends, std::vector<Piece>& pieces) {
  const int64_t begin = position_, end = position_ + static_cast<int64_t>(text.size());
  position_ = end;
  if (!plan_.held_out_buckets.empty()) {
    if (!inside_) held_out_ = plan_.held_out_buckets[bucket_of(text)];
    pieces.push_back({text, held_out_, ends});
  } else if (cut_ > begin && cut_ < end) {
    const auto train = static_cast<size_t>(cut_ - begin);
    pieces.push_back({text.substr(0, train), false, false});
    pieces.push_back({text.substr(train), true, ends});
  } else {
    pieces.push_back({text, cut_ >= 0 && begin >= cut_, ends});
  }
  inside_ = !ends;
}

}  // namespace mfa
