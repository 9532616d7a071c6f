#include "formats/tokenizer.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/file.h"
#include "formats/json.h"
#include "formats/llama2c_vocabulary.h"
#include "formats/newer_characters.h"
#include "formats/tokenizer_json.h"

namespace mfa {
namespace {

constexpr std::string_view kEndOfText = "<|endoftext|>";

// Where tokenizer_config.json is not there to tell: names that published vocabularies use, most telling first.
constexpr std::array kEosNames = {kEndOfText, std::string_view("<|end_of_text|>"),
                                  std::string_view("<｜end▁of▁sentence｜>"), std::string_view("</s>"),
                                  std::string_view("<|im_end|>")};
constexpr std::array kBosNames = {std::string_view("<|begin_of_text|>"), std::string_view("<｜begin▁of▁sentence｜>"),
                                  std::string_view("<s>")};

template <size_t n>
int32_t first_known(const std::array<std::string_view, n>& names, const std::vector<AddedToken>& added) {
  for (const std::string_view name : names) {
    for (const AddedToken& token : added) {
      if (token.content == name) return token.id;
    }
  }
  return -1;
}

// The bytes that a piece stands for.
std::string decoded(const std::string& piece, const DecoderDescription& about) {
  if (about.byte_level) return from_byte_names(piece).value_or(piece);  // other characters: it stands for itself
  std::string text = piece, buffer;
  for (const ReplaceStep& step : about.replacements) text = Normalizer({step}).apply(text, buffer);
  return text;
}

std::vector<std::optional<std::string>> decoded_pieces(const TokenizerDescription& about) {
  std::vector<std::optional<std::string>> out(about.pieces.size());
  for (size_t id = 0; id < out.size(); ++id) {
    if (about.pieces[id]) out[id] = decoded(*about.pieces[id], about.decoder);
  }
  if (about.decoder.byte_fallback) {
    const std::array<int32_t, 256> bytes = ids_of_bytes(about);
    for (size_t byte = 0; byte < bytes.size(); ++byte) {
      if (bytes[byte] >= 0) out[static_cast<size_t>(bytes[byte])] = std::string(1, static_cast<char>(byte));
    }
  }
  for (const AddedToken& token : about.added) out[static_cast<size_t>(token.id)] = token.content;
  return out;
}

BpeSymbols symbols_of(const TokenizerDescription& about, std::string_view where) {
  BpeSymbols out;
  out.bytes = ids_of_bytes(about);
  out.unknown = about.unknown;
  out.fuse_unknown = about.fuse_unknown;
  const auto missing = std::ranges::count(out.bytes, -1);
  if (about.byte_level) {  // vocabularies learned without all bytes (SmolLM2's) lack the rarest; text loses those
    if (missing == 256) bad_input("[{}] vocabulary without a single byte", where);
    return out;
  }
  if (about.byte_fallback && missing > 0) bad_input("[{}] byte_fallback with {} bytes missing", where, missing);
  if (!about.byte_fallback) out.bytes.fill(-1);
  out.characters = true;
  if (!about.byte_fallback && about.unknown < 0) {
    bad_input("[{}] model without byte_fallback and without unk_token is not supported", where);
  }
  for (size_t id = 0; id < about.pieces.size(); ++id) {
    if (!about.pieces[id]) continue;
    std::string_view piece = *about.pieces[id];
    if (piece.empty() || utf8_length(piece) != piece.size()) continue;
    out.of_character.emplace(take_character(piece), static_cast<int32_t>(id));
  }
  return out;
}

std::unordered_map<std::string, int32_t> whole_words(const TokenizerDescription& about) {
  std::unordered_map<std::string, int32_t> out;
  if (!about.ignore_merges) return out;
  for (size_t id = 0; id < about.pieces.size(); ++id) {
    if (!about.pieces[id]) continue;
    auto word = about.byte_level ? from_byte_names(*about.pieces[id]) : about.pieces[id];
    if (word) out.emplace(*std::move(word), static_cast<int32_t>(id));
  }
  return out;
}

// SentencePiece joins pieces over the whole text. Where no merge has a ▁ behind another character, words that begin
// with ▁ can be joined one by one, with the same result: they are short, and repeat.
bool marks_begin_pieces(const TokenizerDescription& about) {
  if (about.byte_level || about.ignore_merges) return false;
  const bool known = std::ranges::any_of(about.pieces, [](const auto& piece) { return piece && *piece == kSpaceMark; });
  return known && std::ranges::none_of(about.merges, [&](const Merge& merge) {
           return about.pieces[static_cast<size_t>(merge.right)]->starts_with(kSpaceMark) &&
                  !about.pieces[static_cast<size_t>(merge.left)]->ends_with(kSpaceMark);
         });
}

PreTokenizer cutter_of(const TokenizerDescription& about) {
  std::vector<PreTokenizerStep> steps = about.pre_tokenizer;
  if (marks_begin_pieces(about)) steps.emplace_back(MarkStep{});
  return PreTokenizer(std::move(steps));
}

bool leaves_text(const PreTokenizerStep& step) {
  const auto* split = std::get_if<SplitStep>(&step);
  return std::holds_alternative<MarkStep>(step) || (split != nullptr && !split->on_byte_names);
}

AddedTokens select(const TokenizerDescription& about, const Normalizer& normalizer, bool normalized, bool control) {
  std::vector<AddedToken> out;
  std::string buffer;
  for (AddedToken token : about.added) {
    if (token.normalized != normalized || (!control && is_control(token))) continue;
    if (normalized) token.content = normalizer.apply(token.content, buffer);
    out.push_back(std::move(token));
  }
  return AddedTokens(std::move(out));
}

void check_ids(const TokenizerDescription& about, std::string_view where) {
  const auto known = [&](int32_t id) {
    return id >= 0 && static_cast<size_t>(id) < about.pieces.size() && about.pieces[static_cast<size_t>(id)];
  };
  for (const std::vector<int32_t>* list : {&about.prefix, &about.suffix}) {
    for (const int32_t id : *list) {
      if (!known(id))
        bad_input("[{}] token {} around a text, expected one of the vocabulary's {}", where, id, about.pieces.size());
    }
  }
  if (about.byte_level != about.decoder.byte_level) {
    bad_input("[{}] ByteLevel in one of pre_tokenizer and decoder, expected it in both or none", where);
  }
}

}  // namespace

struct Tokenizer::Impl {
  Impl(TokenizerDescription description, std::string_view where)
      : about((check_ids(description, where), std::move(description))),
        tokens(decoded_pieces(about)),
        normalizer(about.normalizer),
        cutter(cutter_of(about)),
        cuts_in_place(std::ranges::all_of(cutter.steps(), leaves_text)),
        bpe(symbols_of(about, where), about.merges, whole_words(about), about.ranks),
        control(about.pieces.size()) {
    for (const bool special : {false, true}) {
      added[special] = select(about, normalizer, false, special);
      added_normalized[special] = select(about, normalizer, true, special);
    }
    for (const AddedToken& token : about.added) control[static_cast<size_t>(token.id)] = is_control(token);
    if (about.eos < 0) about.eos = first_known(kEosNames, about.added);
    if (about.bos < 0) about.bos = first_known(kBosNames, about.added);
  }

  void encode_ordinary(std::string_view text, bool first, std::vector<int32_t>& ids) const {
    std::string buffer;
    const std::string_view seen = cuts_in_place ? with_older_characters(text, buffer) : text;
    const bool same = seen.data() == text.data();
    cutter.for_each_piece(
        seen,
        [&](std::string_view piece) {
          if (!same) piece = text.substr(static_cast<size_t>(piece.data() - seen.data()), piece.size());
          bpe.encode_word(piece, ids);
        },
        first);
  }

  void encode(std::string_view text, bool special, std::vector<int32_t>& ids) const {
    const auto found = [&](int32_t id) { ids.push_back(id); };
    std::string buffer;
    const auto section = [&](std::string_view raw) {
      const bool first = raw.data() == text.data();
      const std::string_view rest = normalizer.apply(raw, buffer);
      added_normalized[special].split(
          rest,
          [&](std::string_view ordinary) { encode_ordinary(ordinary, first && ordinary.data() == rest.data(), ids); },
          found);
    };
    added[special].split(text, section, found);
  }

  TokenizerDescription about;
  std::string json;  // the tokenizer.json it was read from, with all that we do not look at
  std::vector<std::optional<std::string>> tokens;  // the bytes of each id
  Normalizer normalizer;
  PreTokenizer cutter;
  bool cuts_in_place;  // pieces are parts of the text
  Bpe bpe;
  AddedTokens added[2], added_normalized[2];  // with `special` false, true
  std::vector<bool> control;
};

namespace {

// tokenizer_config.json names tokens as text, or as an object that holds the text; null says there is none.
void name_special(const Json& config, std::string_view key, std::string_view where, TokenizerDescription& about,
                  int32_t& id) {
  if (!config.contains(key)) return;
  const Json* value = find_member(config, key, where);
  id = -1;
  if (value == nullptr) return;
  const std::string name = value->is_object() ? get_string(*value, "content", where) : get_string(config, key, where);
  for (const AddedToken& token : about.added) {
    if (token.content == name) id = token.id;
  }
  if (id < 0) bad_input("[{}] {}, got {}, which the vocabulary lacks", where, key, name);
}

// add_bos_token, add_eos_token: true puts the token there, false takes it away, whatever the template says.
void put_around(std::optional<bool> wanted, int32_t id, std::vector<int32_t>& ids) {
  if (!wanted) return;
  std::erase(ids, id);
  if (*wanted && id >= 0) ids.push_back(id);
}

}  // namespace

Tokenizer Tokenizer::from_description(TokenizerDescription about, std::string_view where) {
  return Tokenizer(std::make_shared<Impl>(std::move(about), where));
}

Tokenizer Tokenizer::plain_bytes() {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  return from_description(describe_byte_level(tokens, {}, std::string(kEndOfText), false), "plain bytes");
}

Tokenizer Tokenizer::from_json(std::string_view json, std::string_view where) {
  const auto impl = std::make_shared<Impl>(read_tokenizer_json(json, where), where);
  impl->json = json;
  return Tokenizer(impl);
}

Tokenizer Tokenizer::from_gguf(const GgufFile& file) {
  return from_description(describe_gguf(read_gguf_vocabulary(file), file.where()), file.where());
}

Tokenizer Tokenizer::from_llama2c(std::span<const std::byte> tokenizer_bin, std::string_view where) {
  return from_description(describe_llama2c(tokenizer_bin, where), where);
}

Tokenizer Tokenizer::load(const std::filesystem::path& tokenizer_json) {
  const MappedFile file(tokenizer_json);
  const auto impl =
      std::make_shared<Impl>(read_tokenizer_json(file.text(), tokenizer_json.string()), tokenizer_json.string());
  impl->json = file.text();
  const fs::path config_path = tokenizer_json.parent_path() / "tokenizer_config.json";
  if (!path_exists(config_path)) return Tokenizer(impl);
  const std::string where = config_path.string();
  const Json config = parse_json(MappedFile(config_path).text(), where);
  if (!config.is_object()) bad_input("[{}] got {}, expected an object", where, config.type_name());
  TokenizerDescription& about = impl->about;
  name_special(config, "eos_token", where, about, about.eos);
  name_special(config, "bos_token", where, about, about.bos);
  put_around(find_bool(config, "add_bos_token", where), about.bos, about.prefix);
  put_around(find_bool(config, "add_eos_token", where), about.eos, about.suffix);
  return Tokenizer(impl);
}

std::string Tokenizer::to_json() const {
  return impl_->json.empty() ? write_tokenizer_json(impl_->about) : impl_->json;
}

GgufVocabulary Tokenizer::to_gguf() const { return write_gguf_vocabulary(impl_->about); }
const TokenizerDescription& Tokenizer::description() const { return impl_->about; }

void Tokenizer::encode(std::string_view text, std::vector<int32_t>& ids, bool special) const {
  impl_->encode(text, special, ids);
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool special) const {
  std::vector<int32_t> ids;
  encode(text, ids, special);
  return ids;
}

bool Tokenizer::has(int32_t id) const {
  return id >= 0 && static_cast<size_t>(id) < impl_->tokens.size() && impl_->tokens[static_cast<size_t>(id)];
}

std::string_view Tokenizer::token_bytes(int32_t id) const {
  if (!has(id)) bad_input("[tokenizer] id, got {}, expected one of the vocabulary's {}", id, impl_->tokens.size());
  return *impl_->tokens[static_cast<size_t>(id)];
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool continues) const {
  std::string text;
  for (const int32_t id : ids) text += token_bytes(id);
  if (continues) return text;
  size_t spaces = 0;
  while (spaces < static_cast<size_t>(leading_spaces()) && text[spaces] == ' ') ++spaces;
  return text.substr(spaces);
}

int Tokenizer::leading_spaces() const { return impl_->about.decoder.strip; }
int64_t Tokenizer::vocab_size() const { return static_cast<int64_t>(impl_->tokens.size()); }
bool Tokenizer::is_special(int32_t id) const { return has(id) && impl_->control[static_cast<size_t>(id)]; }
int32_t Tokenizer::eos() const { return impl_->about.eos; }
int32_t Tokenizer::bos() const { return impl_->about.bos; }
std::span<const int32_t> Tokenizer::prefix() const { return impl_->about.prefix; }
std::span<const int32_t> Tokenizer::suffix() const { return impl_->about.suffix; }

uint64_t Tokenizer::fingerprint() const {
  return hash64(fmt::format("{:016x} {} {}", hash64(to_json()), eos(), bos()));
}

}  // namespace mfa
