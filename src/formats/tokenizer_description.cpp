#include "formats/tokenizer_description.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "base/error.h"
#include "formats/byte_unicode.h"

namespace mfa {
namespace {

constexpr size_t kMaxPiece = 256;  // bytes; the longest known one, a run of ▁, has 93

struct ScoredMerge {
  Merge merge;
  float score;
  size_t left_size;
};

// −1 unless `piece` is <0x00> … <0xFF>.
int byte_of(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return -1;
  int byte = 0;
  for (const char c : piece.substr(3, 2)) {
    const bool digit = c >= '0' && c <= '9', letter = c >= 'A' && c <= 'F';
    if (!digit && !letter) return -1;
    byte = byte * 16 + (digit ? c - '0' : c - 'A' + 10);
  }
  return byte;
}

}  // namespace

TokenizerDescription describe_byte_level(const std::vector<std::string>& tokens, const std::vector<Merge>& merges,
                                         const std::string& special, bool gpt2_pattern) {
  TokenizerDescription out;
  for (const std::string& token : tokens) out.pieces.emplace_back(to_byte_names(token));
  out.merges = merges;
  AddedToken end;
  end.content = special;
  end.id = static_cast<int32_t>(tokens.size());
  end.normalized = false;
  end.special = true;
  out.pieces.emplace_back(special);
  out.added.push_back(std::move(end));
  if (gpt2_pattern) out.pre_tokenizer.emplace_back(SplitStep{Regex(kGpt2Pattern, "GPT-2's pattern")});
  out.decoder.byte_level = true;
  return out;
}

void describe_sentencepiece(TokenizerDescription& out, bool space_prefix) {
  out.byte_level = false;
  out.fuse_unknown = true;
  if (space_prefix) out.normalizer.emplace_back(PrependStep{std::string(kSpaceMark)});
  out.normalizer.emplace_back(ReplaceStep{" ", std::string(kSpaceMark)});
  out.decoder.replacements = {{std::string(kSpaceMark), " "}};
  out.decoder.strip = space_prefix ? 1 : 0;
  const std::array<int32_t, 256> bytes = ids_of_bytes(out);
  out.byte_fallback = out.decoder.byte_fallback = std::ranges::find(bytes, -1) == bytes.end();
}

void merges_from_scores(TokenizerDescription& out, std::string_view where) {
  std::unordered_map<std::string_view, int32_t> ids;
  ids.reserve(out.pieces.size());
  for (size_t id = 0; id < out.pieces.size(); ++id) {
    if (out.pieces[id]) ids.emplace(*out.pieces[id], static_cast<int32_t>(id));
  }
  std::vector<ScoredMerge> all;
  for (const auto& [piece, id] : ids) {
    if (piece.size() > kMaxPiece)
      bad_input("[{}] piece {}, got {} bytes, expected at most {}", where, id, piece.size(), kMaxPiece);
    for (size_t cut = 1; cut < piece.size(); ++cut) {
      if ((piece[cut] & 0xc0) == 0x80) continue;  // inside a character
      const auto left = ids.find(piece.substr(0, cut));
      const auto right = left == ids.end() ? left : ids.find(piece.substr(cut));
      if (right == ids.end()) continue;
      all.push_back({{left->second, right->second, id}, out.scores[static_cast<size_t>(id)], cut});
    }
  }
  std::sort(all.begin(), all.end(), [](const ScoredMerge& a, const ScoredMerge& b) {
    if (a.score != b.score) return a.score > b.score;
    if (a.left_size != b.left_size) return a.left_size > b.left_size;  // as Hugging Face's converter orders them
    return a.merge.result != b.merge.result ? a.merge.result < b.merge.result : a.merge.left < b.merge.left;
  });
  int32_t rank = -1;
  float last = std::numeric_limits<float>::infinity();
  for (const ScoredMerge& one : all) {
    if (rank < 0 || one.score != last) ++rank;
    last = one.score;
    out.merges.push_back(one.merge);
    out.ranks.push_back(rank);
  }
}

std::array<int32_t, 256> ids_of_bytes(const TokenizerDescription& about) {
  std::array<int32_t, 256> ids;
  ids.fill(-1);
  for (size_t id = 0; id < about.pieces.size(); ++id) {
    if (!about.pieces[id]) continue;
    const std::string& piece = *about.pieces[id];
    int byte = -1;
    if (!about.byte_level) {
      byte = byte_of(piece);
    } else if (piece.size() <= 2) {
      const auto bytes = from_byte_names(piece);
      if (bytes && bytes->size() == 1) byte = static_cast<uint8_t>((*bytes)[0]);
    }
    if (byte >= 0) ids[static_cast<size_t>(byte)] = static_cast<int32_t>(id);
  }
  return ids;
}

}  // namespace mfa
