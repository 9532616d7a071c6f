#include "formats/tokenizer_json.h"

#include <algorithm>

#include "base/error.h"
#include "formats/json.h"

namespace mfa {
namespace {

constexpr int64_t kMaxId = (int64_t{1} << 20) - 1;  // the table of ids is dense: one wild id must not fill memory
constexpr size_t kMaxSplits = 16;

std::string type_of(const Json& json, std::string_view what, std::string_view where) {
  if (!json.is_object()) bad_input("[{}] {}, got {}, expected an object", where, what, json.type_name());
  return get_string(json, "type", where);
}

void check_normalizer(const Json& root, std::string_view where) {
  const Json* normalizer = find_member(root, "normalizer", where);
  if (normalizer == nullptr) return;
  const std::string type = type_of(*normalizer, "normalizer", where);
  if (type == "Sequence" && get_array(*normalizer, "normalizers", where).empty()) return;
  bad_input("[{}] normalizer {} is not supported", where, type);
}

void check_decoder(const Json& root, std::string_view where) {
  const Json* decoder = find_member(root, "decoder", where);
  const std::string type = decoder == nullptr ? "none" : type_of(*decoder, "decoder", where);
  if (type != "ByteLevel") bad_input("[{}] decoder {} is not supported, expected ByteLevel", where, type);
}

// The pre-tokenizer: any number of Split and Digits, then ByteLevel, which cuts once more where it uses its regex.
class PreTokenizerReader {
 public:
  explicit PreTokenizerReader(std::string_view where) : where_(where) {}

  PreTokenizer read(const Json& root) {
    const Json* json = find_member(root, "pre_tokenizer", where_);
    if (json == nullptr) bad_input("[{}] pre_tokenizer none is not supported, expected ByteLevel", where_);
    if (type_of(*json, "pre_tokenizer", where_) == "Sequence") {
      for (const Json& step : get_array(*json, "pretokenizers", where_)) add(step);
    } else {
      add(*json);
    }
    if (!byte_level_) bad_input("[{}] pre_tokenizer without ByteLevel is not supported", where_);
    return PreTokenizer(std::move(splits_));
  }

 private:
  void add(const Json& step) {
    const std::string type = type_of(step, "pre_tokenizer", where_);
    if (byte_level_) bad_input("[{}] pre_tokenizer {} after ByteLevel is not supported", where_, type);
    if (type == "ByteLevel") {
      add_byte_level(step);
    } else if (type == "Split") {
      add_split(step);
    } else if (type == "Digits") {
      add_pattern(find_bool(step, "individual_digits", where_).value_or(false) ? R"(\p{N})" : R"(\p{N}+)");
    } else {
      bad_input("[{}] pre_tokenizer {} is not supported", where_, type);
    }
  }

  void add_byte_level(const Json& step) {
    if (get_bool(step, "add_prefix_space", where_)) {
      bad_input("[{}] pre_tokenizer ByteLevel with add_prefix_space is not supported", where_);
    }
    if (find_bool(step, "use_regex", where_).value_or(true)) add_pattern(kGpt2Pattern);
    byte_level_ = true;
  }

  void add_split(const Json& step) {
    const std::string behavior = get_string(step, "behavior", where_);
    if (behavior != "Isolated")
      bad_input("[{}] pre_tokenizer Split with behavior {} is not supported", where_, behavior);
    if (find_bool(step, "invert", where_).value_or(false)) {
      bad_input("[{}] pre_tokenizer Split with invert is not supported", where_);
    }
    const Json& pattern = get_object(step, "pattern", where_);
    if (const auto text = find_string(pattern, "String", where_)) return add_pattern(quote_regex(*text));
    add_pattern(get_string(pattern, "Regex", where_));
  }

  void add_pattern(std::string_view pattern) {
    if (splits_.size() == kMaxSplits) bad_input("[{}] pre_tokenizer with over {} steps", where_, kMaxSplits);
    splits_.emplace_back(pattern, where_);
  }

  std::string_view where_;
  std::vector<Regex> splits_;
  bool byte_level_ = false;
};

// Settings of the model that would change ids; those left out (unk_token, fuse_unk) act on unknown bytes only, and
// read_vocabulary() leaves none.
void check_model(const Json& model, std::string_view where) {
  const std::string type = get_string(model, "type", where);
  if (type != "BPE") bad_input("[{}] model {} is not supported, expected BPE", where, type);
  if (find_double(model, "dropout", where).value_or(0) != 0) bad_input("[{}] dropout is not supported", where);
  for (const std::string_view key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!find_string(model, key, where).value_or("").empty()) bad_input("[{}] {} is not supported", where, key);
  }
  if (find_bool(model, "byte_fallback", where).value_or(false)) bad_input("[{}] byte_fallback is not supported", where);
}

void set_token(TokenizerDescription& out, int64_t id, std::string bytes, std::string_view where) {
  if (static_cast<size_t>(id) >= out.tokens.size()) out.tokens.resize(static_cast<size_t>(id) + 1);
  std::optional<std::string>& token = out.tokens[static_cast<size_t>(id)];
  if (token) bad_input("[{}] id {} is given to two tokens", where, id);
  token = std::move(bytes);
}

void read_vocabulary(const Json& vocab, TokenizerDescription& out, std::string_view where) {
  out.byte_ids.fill(-1);
  for (const auto& [name, value] : vocab.items()) {
    const int64_t id = as_int(value, "id of " + name, where, 0, kMaxId);
    // A character that names no byte can only be a special token's, which stands for itself.
    std::optional<std::string> bytes = from_byte_names(name);
    if (bytes) out.ids.emplace(*bytes, static_cast<int32_t>(id));
    if (bytes && bytes->size() == 1) out.byte_ids[static_cast<uint8_t>((*bytes)[0])] = static_cast<int32_t>(id);
    set_token(out, id, bytes ? *std::move(bytes) : name, where);
  }
  const auto missing = std::find(out.byte_ids.begin(), out.byte_ids.end(), -1);
  if (missing != out.byte_ids.end()) {
    bad_input("[{}] vocabulary without the byte {:#04x}, expected all 256", where, missing - out.byte_ids.begin());
  }
}

// "left right", or ["left", "right"].
std::pair<std::string, std::string> split_merge(const Json& merge, std::string_view where) {
  if (merge.is_string()) {
    const std::string& text = merge.get_ref<const std::string&>();
    const size_t space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
      return {text.substr(0, space), text.substr(space + 1)};
    }
  } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  }
  bad_input("[{}] merge, got {}, expected two tokens", where, merge.dump());
}

int32_t id_of_name(const TokenizerDescription& out, const std::string& name, std::string_view where) {
  const std::optional<std::string> bytes = from_byte_names(name);
  const auto found = bytes ? out.ids.find(*bytes) : out.ids.end();
  if (found == out.ids.end()) bad_input("[{}] merges make {}, which the vocabulary lacks", where, name);
  return found->second;
}

void read_merges(const Json& merges, TokenizerDescription& out, std::string_view where) {
  out.merges.reserve(merges.size());
  for (const Json& merge : merges) {
    const auto [left, right] = split_merge(merge, where);
    out.merges.push_back(
        {id_of_name(out, left, where), id_of_name(out, right, where), id_of_name(out, left + right, where)});
  }
}

void read_added_token(const Json& json, const std::unordered_map<std::string, int32_t>& vocabulary,
                      TokenizerDescription& out, std::string_view where) {
  AddedToken token{get_string(json, "content", where), static_cast<int32_t>(get_int(json, "id", where, 0, kMaxId)),
                   find_bool(json, "normalized", where).value_or(true)};
  if (token.content.empty()) bad_input("[{}] added token {} is empty", where, token.id);
  for (const std::string_view key : {"single_word", "lstrip", "rstrip"}) {
    if (find_bool(json, key, where).value_or(false)) {
      bad_input("[{}] added token {} with {} is not supported", where, token.content, key);
    }
  }
  const auto found = vocabulary.find(token.content);
  if (found == vocabulary.end()) {
    set_token(out, token.id, token.content, where);
  } else if (found->second != token.id) {
    bad_input("[{}] id of added token {}, got {}, expected the vocabulary's {}", where, token.content, token.id,
              found->second);
  }
  out.added.push_back(std::move(token));
}

void read_added_tokens(const Json& root, const Json& vocab, TokenizerDescription& out, std::string_view where) {
  const Json* list = find_member(root, "added_tokens", where);
  if (list == nullptr) return;
  if (!list->is_array()) bad_input("[{}] added_tokens, got {}, expected a list", where, list->type_name());
  std::unordered_map<std::string, int32_t> vocabulary;  // names as written, and the tokens added so far
  for (const Json& json : *list) {
    const auto found = vocab.find(get_string(json, "content", where));
    if (found != vocab.end()) vocabulary.emplace(found.key(), found->get<int32_t>());
  }
  for (const Json& json : *list) {
    read_added_token(json, vocabulary, out, where);
    vocabulary.emplace(out.added.back().content, out.added.back().id);
  }
}

}  // namespace

TokenizerDescription read_tokenizer_json(std::string_view text, std::string_view where) {
  const Json root = parse_json(text, where);
  check_normalizer(root, where);
  check_decoder(root, where);
  const Json& model = get_object(root, "model", where);
  check_model(model, where);
  TokenizerDescription out;
  out.pre_tokenizer = PreTokenizerReader(where).read(root);
  out.ignore_merges = find_bool(model, "ignore_merges", where).value_or(false);
  const Json& vocab = get_object(model, "vocab", where);
  read_vocabulary(vocab, out, where);
  read_merges(get_array(model, "merges", where), out, where);
  read_added_tokens(root, vocab, out, where);
  return out;
}

std::string write_tokenizer_json(std::span<const std::string> tokens, std::span<const Merge> merges,
                                 const std::string& special, bool use_regex) {
  using Ordered = nlohmann::ordered_json;
  const Ordered byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
  const Ordered added = {{"id", tokens.size()}, {"content", special},  {"single_word", false}, {"lstrip", false},
                         {"rstrip", false},     {"normalized", false}, {"special", true}};
  Ordered vocab = Ordered::object(), list = Ordered::array();
  auto& entries = vocab.get_ref<Ordered::object_t&>();  // its operator[] looks through all entries; names are unique
  for (size_t id = 0; id < tokens.size(); ++id) entries.emplace_back(to_byte_names(tokens[id]), id);
  // As text, which every version of the library reads; names hold no space.
  for (const Merge& merge : merges) {
    list.push_back(to_byte_names(tokens[static_cast<size_t>(merge.left)]) + " " +
                   to_byte_names(tokens[static_cast<size_t>(merge.right)]));
  }
  Ordered model = {{"type", "BPE"},
                   {"dropout", nullptr},
                   {"unk_token", nullptr},
                   {"continuing_subword_prefix", nullptr},
                   {"end_of_word_suffix", nullptr},
                   {"fuse_unk", false},
                   {"byte_fallback", false},
                   {"ignore_merges", false}};
  model["vocab"] = std::move(vocab);
  model["merges"] = std::move(list);
  Ordered root = {{"version", "1.0"},          {"truncation", nullptr}, {"padding", nullptr},
                  {"added_tokens", {added}},   {"normalizer", nullptr}, {"pre_tokenizer", byte_level},
                  {"post_processor", nullptr}, {"decoder", byte_level}};
  root["model"] = std::move(model);
  return root.dump(1) + "\n";
}

}  // namespace mfa
