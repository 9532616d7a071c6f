#include "formats/tokenizer_json.h"

#include <unordered_map>

#include "base/error.h"

namespace mfa {
namespace {

using Ids = std::unordered_map<std::string_view, int32_t>;  // piece, as written → id

void check_model(const Json& model, std::string_view where) {
  const std::string type = find_string(model, "type", where).value_or("BPE");  // older files do not say
  if (type != "BPE") bad_input("[{}] model {} is not supported, expected BPE", where, type);
  if (find_double(model, "dropout", where).value_or(0) != 0) bad_input("[{}] dropout is not supported", where);
  for (const std::string_view key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!find_string(model, key, where).value_or("").empty()) bad_input("[{}] {} is not supported", where, key);
  }
}

void set_piece(TokenizerDescription& out, int64_t id, const std::string& piece, std::string_view where) {
  if (static_cast<size_t>(id) >= out.pieces.size()) out.pieces.resize(static_cast<size_t>(id) + 1);
  std::optional<std::string>& place = out.pieces[static_cast<size_t>(id)];
  if (place) bad_input("[{}] id {} is given to two tokens", where, id);
  place = piece;
}

Ids read_vocabulary(const Json& vocab, TokenizerDescription& out, std::string_view where) {
  Ids ids;
  ids.reserve(vocab.size());
  for (const auto& [name, value] : vocab.items()) {
    const int64_t id = as_int(value, "id of " + name, where, 0, kMaxTokens - 1);
    set_piece(out, id, name, where);
    ids.emplace(name, static_cast<int32_t>(id));
  }
  return ids;
}

// "left right", or ["left", "right"].
std::pair<std::string_view, std::string_view> split_merge(const Json& merge, std::string_view where) {
  if (merge.is_string()) {
    const std::string_view text = merge.get_ref<const std::string&>();
    const size_t space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
      return {text.substr(0, space), text.substr(space + 1)};
    }
  } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    return {merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>()};
  }
  bad_input("[{}] merge, got {}, expected two tokens", where, merge.dump(-1, ' ', true));
}

void read_merges(const Json& merges, const Ids& ids, TokenizerDescription& out, std::string_view where) {
  const auto id_of = [&](std::string_view name) {
    const auto found = ids.find(name);
    if (found == ids.end()) bad_input("[{}] merges make {}, which the vocabulary lacks", where, name);
    return found->second;
  };
  out.merges.reserve(merges.size());
  std::string joined;
  for (const Json& merge : merges) {
    const auto [left, right] = split_merge(merge, where);
    joined.assign(left).append(right);
    out.merges.push_back({id_of(left), id_of(right), id_of(joined)});
  }
}

AddedToken read_added_token(const Json& json, std::string_view where) {
  AddedToken token;
  token.content = get_string(json, "content", where);
  token.id = static_cast<int32_t>(get_int(json, "id", where, 0, kMaxTokens - 1));
  token.single_word = find_bool(json, "single_word", where).value_or(false);
  token.lstrip = find_bool(json, "lstrip", where).value_or(false);
  token.rstrip = find_bool(json, "rstrip", where).value_or(false);
  token.special = find_bool(json, "special", where).value_or(false);
  token.normalized = find_bool(json, "normalized", where).value_or(!token.special);
  if (token.content.empty()) bad_input("[{}] added token {} is empty", where, token.id);
  return token;
}

void read_added_tokens(const Json& root, Ids ids, TokenizerDescription& out, std::string_view where) {
  const Json* list = find_member(root, "added_tokens", where);
  if (list == nullptr) return;
  if (!list->is_array()) bad_input("[{}] added_tokens, got {}, expected a list", where, list->type_name());
  out.added.reserve(list->size());  // `ids` views their names
  for (const Json& json : *list) {
    out.added.push_back(read_added_token(json, where));
    const AddedToken& token = out.added.back();
    const auto [found, added] = ids.emplace(token.content, token.id);
    if (added) {
      set_piece(out, token.id, token.content, where);
    } else if (found->second != token.id) {
      bad_input("[{}] id of added token {}, got {}, expected the vocabulary's {}", where, token.content, token.id,
                found->second);
    }
  }
}

void read_unknown(const Json& model, const Ids& ids, TokenizerDescription& out, std::string_view where) {
  const auto name = find_string(model, "unk_token", where);
  if (!name) return;
  const auto found = ids.find(*name);
  if (found == ids.end()) bad_input("[{}] unk_token, got {}, which the vocabulary lacks", where, *name);
  out.unknown = found->second;
}

}  // namespace

std::string type_of(const Json& json, std::string_view what, std::string_view where) {
  if (!json.is_object()) bad_input("[{}] {}, got {}, expected an object", where, what, json.type_name());
  return get_string(json, "type", where);
}

TokenizerDescription read_tokenizer_json(std::string_view text, std::string_view where) {
  const Json root = parse_json(text, where);
  TokenizerDescription out;
  read_normalizer(root, out, where);
  read_pre_tokenizer(root, out, where);
  read_decoder(root, out, where);
  read_post_processor(root, out, where);
  const Json& model = get_object(root, "model", where);
  check_model(model, where);
  out.ignore_merges = find_bool(model, "ignore_merges", where).value_or(false);
  out.byte_fallback = find_bool(model, "byte_fallback", where).value_or(false);
  out.fuse_unknown = find_bool(model, "fuse_unk", where).value_or(false);
  const Json& vocab = get_object(model, "vocab", where);
  Ids ids = read_vocabulary(vocab, out, where);
  read_unknown(model, ids, out, where);
  read_merges(get_array(model, "merges", where), ids, out, where);
  read_added_tokens(root, std::move(ids), out, where);
  return out;
}

}  // namespace mfa
