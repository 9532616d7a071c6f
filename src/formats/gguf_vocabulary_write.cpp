#include <algorithm>
#include <map>

#include "base/error.h"
#include "formats/gguf_pre_tokenizers.h"
#include "formats/gguf_vocabulary.h"

namespace mfa {
namespace {

constexpr const char* kWhere = "GGUF vocabulary";

std::optional<int32_t> known(int32_t id) { return id >= 0 ? std::optional(id) : std::nullopt; }

bool holds(const std::vector<int32_t>& ids, int32_t id) { return std::ranges::find(ids, id) != ids.end(); }

int32_t type_of_piece(const TokenizerDescription& about, size_t id, const std::array<int32_t, 256>& bytes) {
  const auto index = static_cast<int32_t>(id);
  if (!about.pieces[id]) return static_cast<int32_t>(GgufTokenType::unused);
  if (index == about.unknown) return static_cast<int32_t>(GgufTokenType::unknown);
  const bool byte = !about.byte_level && std::ranges::find(bytes, index) != bytes.end();
  return static_cast<int32_t>(byte ? GgufTokenType::byte : GgufTokenType::normal);
}

// Whether `about` does with spaces what model llama does; sets add_space_prefix.
void write_spaces(const TokenizerDescription& about, GgufVocabulary& out) {
  const std::string mark(kSpaceMark);
  bool prefix = false, marks = false, other = false;
  for (const NormalizerStep& step : about.normalizer) {
    const auto* prepend = std::get_if<PrependStep>(&step);
    const auto* replace = std::get_if<ReplaceStep>(&step);
    if (prepend != nullptr && prepend->content == mark && !prefix) {
      prefix = true;
    } else if (replace != nullptr && replace->text == " " && replace->content == mark && !marks) {
      marks = true;
    } else {
      other = true;
    }
  }
  if (other || !marks || !about.pre_tokenizer.empty() || about.ignore_merges) {
    bad_input("[{}] this normalizer and pre-tokenizer have no name in GGUF's model llama", kWhere);
  }
  out.add_space_prefix = prefix;
}

[[noreturn]] void not_by_score() {
  bad_input("[{}] the merges do not follow from a score of each piece, which GGUF's model llama wants", kWhere);
}

// Pieces whose merges stand one after the other in the list get falling scores; those whose merges are mixed share one.
std::vector<float> scores_by_order(const TokenizerDescription& about) {
  std::vector<size_t> last(about.pieces.size());
  for (size_t i = 0; i < about.merges.size(); ++i) last[static_cast<size_t>(about.merges[i].result)] = i;
  std::vector<float> scores(about.pieces.size(), -static_cast<float>(about.merges.size() + 1));
  size_t end = 0;  // where the merges of the pieces at hand end
  float score = 0;
  for (size_t i = 0; i < about.merges.size(); ++i) {
    if (i > end) --score;
    end = std::max(end, last[static_cast<size_t>(about.merges[i].result)]);
    scores[static_cast<size_t>(about.merges[i].result)] = score;
  }
  return scores;
}

// What follows from the scores must be the merges there are, in an order that the ranks allow.
void check_scores(const TokenizerDescription& about, const std::vector<float>& scores) {
  TokenizerDescription other;
  other.pieces = about.pieces;
  other.scores = scores;
  merges_from_scores(other, kWhere);
  if (other.merges.size() != about.merges.size()) not_by_score();
  std::map<std::pair<int32_t, int32_t>, int32_t> ranks;
  for (size_t i = 0; i < other.merges.size(); ++i)
    ranks[{other.merges[i].left, other.merges[i].right}] = other.ranks[i];
  int32_t rank = 0;
  for (const Merge& merge : about.merges) {
    const auto found = ranks.find({merge.left, merge.right});
    if (found == ranks.end() || found->second < rank) not_by_score();
    rank = found->second;
  }
}

void write_scores(const TokenizerDescription& about, GgufVocabulary& out) {
  out.scores = about.scores;
  if (!out.scores.empty()) return;
  out.scores = scores_by_order(about);
  check_scores(about, out.scores);
}

void write_merges(const TokenizerDescription& about, GgufVocabulary& out) {
  for (const Merge& merge : about.merges) {
    out.merges.push_back(*about.pieces[static_cast<size_t>(merge.left)] + " " +
                         *about.pieces[static_cast<size_t>(merge.right)]);
  }
}

}  // namespace

GgufVocabulary write_gguf_vocabulary(const TokenizerDescription& about) {
  GgufVocabulary out;
  const std::array<int32_t, 256> bytes = ids_of_bytes(about);
  for (size_t id = 0; id < about.pieces.size(); ++id) {
    out.tokens.push_back(about.pieces[id].value_or("[PAD" + std::to_string(id) + "]"));
    out.types.push_back(type_of_piece(about, id, bytes));
  }
  for (const AddedToken& token : about.added) {
    if (token.id == about.unknown) continue;
    const GgufTokenType type = is_control(token) ? GgufTokenType::control : GgufTokenType::user_defined;
    out.types[static_cast<size_t>(token.id)] = static_cast<int32_t>(type);
  }
  out.bos = known(about.bos), out.eos = known(about.eos), out.unknown = known(about.unknown),
  out.padding = known(about.pad);
  out.add_bos = about.bos >= 0 && holds(about.prefix, about.bos);
  out.add_eos = about.eos >= 0 && holds(about.suffix, about.eos);
  if (!about.byte_level) {
    out.model = "llama", out.pre = "default";
    write_spaces(about, out);
    write_scores(about, out);
    return out;
  }
  const GgufPreTokenizer* cut = find_gguf_pre_tokenizer(about);
  if (cut == nullptr)
    bad_input("[{}] this normalizer and pre-tokenizer have no name in GGUF (tokenizer.ggml.pre)", kWhere);
  out.model = "gpt2", out.pre = cut->names[0];
  out.add_space_prefix = false;
  write_merges(about, out);
  return out;
}

}  // namespace mfa
