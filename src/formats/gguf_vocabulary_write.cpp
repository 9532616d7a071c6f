#include <algorithm>

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

// model llama knows scores only: minus the best rank of the merges that make a piece. The merges must be those that
// scores give: all cuts of a piece, one after the other in the list.
void write_scores(const TokenizerDescription& about, GgufVocabulary& out) {
  if (!about.scores.empty()) {
    out.scores = about.scores;
    return;
  }
  out.scores.assign(about.pieces.size(), -static_cast<float>(about.merges.size() + 1));
  std::vector<bool> seen(about.pieces.size());
  int32_t last = -1, rank = -1;
  for (const Merge& merge : about.merges) {
    if (merge.result != last) {
      if (seen[static_cast<size_t>(merge.result)]) {
        bad_input("[{}] the merges of {} do not follow from a score, which GGUF's model llama wants", kWhere,
                  *about.pieces[static_cast<size_t>(merge.result)]);
      }
      seen[static_cast<size_t>(merge.result)] = true;
      out.scores[static_cast<size_t>(merge.result)] = -static_cast<float>(++rank);
      last = merge.result;
    }
  }
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
