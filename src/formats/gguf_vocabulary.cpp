#include "formats/gguf_vocabulary.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "formats/gguf_pre_tokenizers.h"

namespace mfa {
namespace {

constexpr std::string_view kPrefix = "tokenizer.ggml.";

std::string key(std::string_view name) { return std::string(kPrefix) + std::string(name); }

std::optional<int32_t> find_id(const GgufFile& file, std::string_view name) {
  const auto id = file.find_int(key(name));
  if (!id) return std::nullopt;
  return static_cast<int32_t>(std::clamp<int64_t>(*id, -1, kMaxTokens));  // −1 and 2^32 − 1 say none; checked below
}

bool is_type(int32_t type, GgufTokenType wanted) { return type == static_cast<int32_t>(wanted); }

// Phi-3's control tokens take the white space behind them along; files do not say so, engines know it by name.
bool takes_space(const GgufVocabulary& v, const std::string& token) {
  std::string name = v.name;
  std::ranges::transform(name, name.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (name.find("phi-3") == std::string::npos && name.find("phi3") == std::string::npos) return false;
  return token != "<unk>" && token != "<s>" && token != "<|endoftext|>";
}

class Describer {
 public:
  Describer(const GgufVocabulary& vocabulary, std::string_view where) : v_(vocabulary), where_(where) {}

  TokenizerDescription run() {
    read_pieces();
    read_ids();
    if (v_.model == "gpt2") {
      describe_gpt2();
    } else if (v_.model == "llama") {
      describe_llama();
    } else {
      bad_input("[{}] tokenizer.ggml.model {} is not supported, expected gpt2 or llama", where_, v_.model);
    }
    return std::move(out_);
  }

 private:
  void read_pieces() {
    const size_t n = v_.tokens.size();
    if (n == 0) bad_input("[{}] tokenizer.ggml.tokens is empty or missing", where_);
    if (n > static_cast<size_t>(kMaxTokens))
      bad_input("[{}] tokenizer.ggml.tokens, got {}, expected at most {}", where_, n, kMaxTokens);
    if (!v_.types.empty() && v_.types.size() != n)
      bad_input("[{}] tokenizer.ggml.token_type, got {} values, expected {}", where_, v_.types.size(), n);
    ids_.reserve(n);
    for (size_t id = 0; id < n; ++id) {
      if (valid_utf8_prefix(v_.tokens[id]) != v_.tokens[id].size()) bad_input("[{}] token {} is not UTF-8", where_, id);
      if (!ids_.emplace(v_.tokens[id], static_cast<int32_t>(id)).second) {
        bad_input("[{}] tokens {} and {} are the same", where_, ids_[v_.tokens[id]], id);
      }
      out_.pieces.emplace_back(v_.tokens[id]);
      if (!v_.types.empty()) add_token(id, v_.types[id]);
    }
  }

  void add_token(size_t id, int32_t type) {
    const bool control = is_type(type, GgufTokenType::control) || is_type(type, GgufTokenType::unknown);
    if ((!control && !is_type(type, GgufTokenType::user_defined)) || v_.tokens[id].empty()) return;
    AddedToken token;
    token.content = v_.tokens[id];
    token.id = static_cast<int32_t>(id);
    token.normalized = false;
    token.special = control;
    token.rstrip = takes_space(v_, token.content);
    out_.added.push_back(std::move(token));
  }

  // An id outside the vocabulary says that there is none.
  int32_t checked(std::optional<int32_t> id) const {
    return id && *id >= 0 && static_cast<size_t>(*id) < v_.tokens.size() ? *id : -1;
  }

  void read_ids() {
    out_.bos = checked(v_.bos);
    out_.eos = checked(v_.eos);
    out_.unknown = checked(v_.unknown);
    out_.pad = checked(v_.padding);
  }

  void put_around(bool add_bos, bool add_eos) {
    if (add_bos && out_.bos >= 0) out_.prefix.push_back(out_.bos);
    if (add_eos && out_.eos >= 0) out_.suffix.push_back(out_.eos);
  }

  void describe_gpt2() {
    const std::string_view pre = v_.pre.empty() ? std::string_view("default") : v_.pre;
    const GgufPreTokenizer* cut = find_gguf_pre_tokenizer(pre);
    if (cut == nullptr) bad_input("[{}] tokenizer.ggml.pre {} is not supported", where_, pre);
    for (const std::string_view pattern : cut->patterns)
      out_.pre_tokenizer.emplace_back(SplitStep{Regex(pattern, where_)});
    if (cut->nfc) out_.normalizer.emplace_back(NormalForm::nfc);
    out_.ignore_merges = cut->ignore_merges;
    out_.byte_level = out_.decoder.byte_level = true;
    out_.unknown = -1;  // every byte is known
    read_merges();
    put_around(v_.add_bos.value_or(cut->add_bos), v_.add_eos.value_or(false));
  }

  void read_merges() {
    const auto id_of = [&](std::string_view name) {
      const auto found = ids_.find(name);
      if (found == ids_.end()) bad_input("[{}] merges make {}, which the vocabulary lacks", where_, name);
      return found->second;
    };
    std::string joined;
    for (const std::string& text : v_.merges) {
      const size_t space = text.find(' ', 1);
      if (space == std::string::npos) bad_input("[{}] a merge of {} bytes, expected two tokens", where_, text.size());
      const std::string_view left = std::string_view(text).substr(0, space),
                             right = std::string_view(text).substr(space + 1);
      joined.assign(left).append(right);
      out_.merges.push_back({id_of(left), id_of(right), id_of(joined)});
    }
  }

  void describe_llama() {
    if (v_.scores.size() != v_.tokens.size()) {
      bad_input("[{}] tokenizer.ggml.scores, got {} values, expected {}", where_, v_.scores.size(), v_.tokens.size());
    }
    out_.scores = v_.scores;
    describe_sentencepiece(out_, v_.add_space_prefix.value_or(true));
    merges_from_scores(out_, where_);
    put_around(v_.add_bos.value_or(true), v_.add_eos.value_or(false));
  }

  const GgufVocabulary& v_;
  std::string_view where_;
  std::unordered_map<std::string_view, int32_t> ids_;
  TokenizerDescription out_;
};

}  // namespace

GgufVocabulary read_gguf_vocabulary(const GgufFile& file) {
  GgufVocabulary out;
  out.model = file.get_string(key("model"));
  out.pre = file.find_string(key("pre")).value_or("");
  out.name = file.find_string("general.name").value_or("");
  for (const std::string_view token : file.get_strings(key("tokens"))) out.tokens.emplace_back(token);
  for (const double score : file.find_doubles(key("scores")).value_or(std::vector<double>()))
    out.scores.push_back(static_cast<float>(score));
  for (const int64_t type : file.find_ints(key("token_type")).value_or(std::vector<int64_t>())) {
    out.types.push_back(static_cast<int32_t>(std::clamp<int64_t>(type, 0, 7)));
  }
  for (const std::string_view merge : file.find_strings(key("merges")).value_or(std::vector<std::string_view>()))
    out.merges.emplace_back(merge);
  out.bos = find_id(file, "bos_token_id");
  out.eos = find_id(file, "eos_token_id");
  out.unknown = find_id(file, "unknown_token_id");
  out.padding = find_id(file, "padding_token_id");
  out.add_bos = file.find_bool(key("add_bos_token"));
  out.add_eos = file.find_bool(key("add_eos_token"));
  out.add_space_prefix = file.find_bool(key("add_space_prefix"));
  return out;
}

TokenizerDescription describe_gguf(const GgufVocabulary& vocabulary, std::string_view where) {
  return Describer(vocabulary, where).run();
}

}  // namespace mfa
