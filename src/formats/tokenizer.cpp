#include "formats/tokenizer.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/file.h"
#include "formats/bpe.h"
#include "formats/json.h"
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

// Finds added tokens in text: at each place the longest, as Hugging Face does.
class AddedTokens {
 public:
  AddedTokens() = default;
  AddedTokens(const std::vector<AddedToken>& all, bool normalized) {
    for (const AddedToken& token : all) {
      if (token.normalized == normalized) by_first_byte_[static_cast<uint8_t>(token.content[0])].push_back(token);
    }
    for (auto& list : by_first_byte_) {
      std::sort(list.begin(), list.end(),
                [](const AddedToken& a, const AddedToken& b) { return a.content.size() > b.content.size(); });
    }
  }

  // Calls between(text) and found(id) from left to right.
  template <class Between, class Found>
  void split(std::string_view text, const Between& between, const Found& found) const {
    size_t begin = 0;
    for (size_t i = 0; i < text.size();) {
      const AddedToken* token = match(text.substr(i));
      if (token == nullptr) {
        ++i;
        continue;
      }
      if (i > begin) between(text.substr(begin, i - begin));
      found(token->id);
      begin = i += token->content.size();
    }
    if (begin < text.size()) between(text.substr(begin));
  }

 private:
  const AddedToken* match(std::string_view text) const {
    for (const AddedToken& token : by_first_byte_[static_cast<uint8_t>(text[0])]) {
      if (text.starts_with(token.content)) return &token;
    }
    return nullptr;
  }

  std::array<std::vector<AddedToken>, 256> by_first_byte_;
};

template <size_t n>
int32_t first_known(const std::array<std::string_view, n>& names, const std::vector<AddedToken>& added) {
  for (const std::string_view name : names) {
    for (const AddedToken& token : added) {
      if (token.content == name) return token.id;
    }
  }
  return -1;
}

std::vector<std::string> byte_tokens() {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  return tokens;
}

}  // namespace

struct Tokenizer::Impl {
  Impl(std::string_view text, std::string_view where) : Impl(text, read_tokenizer_json(text, where)) {}
  Impl(std::string_view text, TokenizerDescription about)
      : json(text),
        tokens(std::move(about.tokens)),
        pre_tokenizer(std::move(about.pre_tokenizer)),
        bpe(about.byte_ids, about.merges,
            about.ignore_merges ? std::move(about.ids) : std::unordered_map<std::string, int32_t>()),
        added(about.added, false),
        added_normalized(about.added, true),
        added_list(std::move(about.added)),
        eos(first_known(kEosNames, added_list)),
        bos(first_known(kBosNames, added_list)) {}

  void encode_ordinary(std::string_view text, std::vector<int32_t>& ids) const {
    pre_tokenizer.for_each_piece(text, [&](std::string_view piece) { bpe.encode_word(piece, ids); });
  }

  void encode_special(std::string_view text, std::vector<int32_t>& ids) const {
    const auto found = [&](int32_t id) { ids.push_back(id); };
    added.split(
        text,
        [&](std::string_view rest) {
          added_normalized.split(
              rest, [&](std::string_view ordinary) { encode_ordinary(ordinary, ids); }, found);
        },
        found);
  }

  // tokenizer_config.json names them as text, or as an object that holds the text; null says there is none.
  void name_special(const Json& config, std::string_view key, std::string_view where, int32_t& id) const {
    if (!config.is_object() || !config.contains(key)) return;
    const Json* value = find_member(config, key, where);
    id = -1;
    if (value == nullptr) return;
    const std::string name = value->is_object() ? get_string(*value, "content", where) : get_string(config, key, where);
    for (const AddedToken& token : added_list) {
      if (token.content == name) id = token.id;
    }
    if (id < 0) bad_input("[{}] {}, got {}, which the vocabulary lacks", where, key, name);
  }

  std::string json;  // what it was read from: what to_json() returns, with all that we do not look at
  std::vector<std::optional<std::string>> tokens;
  PreTokenizer pre_tokenizer;
  Bpe bpe;
  AddedTokens added, added_normalized;
  std::vector<AddedToken> added_list;
  int32_t eos, bos;
};

Tokenizer Tokenizer::plain_bytes() {
  return from_json(write_tokenizer_json(byte_tokens(), {}, std::string(kEndOfText), false), "plain bytes");
}

Tokenizer Tokenizer::from_json(std::string_view json, std::string_view where) {
  return Tokenizer(std::make_shared<const Impl>(json, where));
}

Tokenizer Tokenizer::load(const std::filesystem::path& tokenizer_json) {
  const auto impl = std::make_shared<Impl>(MappedFile(tokenizer_json).text(), tokenizer_json.string());
  const fs::path config_path = tokenizer_json.parent_path() / "tokenizer_config.json";
  std::error_code none;
  if (fs::exists(config_path, none)) {
    const std::string where = config_path.string();
    const Json config = parse_json(MappedFile(config_path).text(), where);
    impl->name_special(config, "eos_token", where, impl->eos);
    impl->name_special(config, "bos_token", where, impl->bos);
  }
  return Tokenizer(impl);
}

std::string Tokenizer::to_json() const { return impl_->json; }

void Tokenizer::encode(std::string_view text, std::vector<int32_t>& ids, bool special) const {
  if (special) {
    impl_->encode_special(text, ids);
  } else {
    impl_->encode_ordinary(text, ids);
  }
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool special) const {
  std::vector<int32_t> ids;
  encode(text, ids, special);
  return ids;
}

std::string_view Tokenizer::token_bytes(int32_t id) const {
  const auto index = static_cast<size_t>(id);
  if (id < 0 || index >= impl_->tokens.size() || !impl_->tokens[index]) {
    bad_input("[tokenizer] id, got {}, expected one of the vocabulary's {}", id, impl_->tokens.size());
  }
  return *impl_->tokens[index];
}

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  std::string text;
  for (const int32_t id : ids) text += token_bytes(id);
  return text;
}

int64_t Tokenizer::vocab_size() const { return static_cast<int64_t>(impl_->tokens.size()); }
int32_t Tokenizer::eos() const { return impl_->eos; }
int32_t Tokenizer::bos() const { return impl_->bos; }

uint64_t Tokenizer::fingerprint() const {
  return hash64(fmt::format("{:016x} {} {}", hash64(impl_->json), impl_->eos, impl_->bos));
}

}  // namespace mfa
