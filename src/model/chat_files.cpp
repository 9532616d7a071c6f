#include "model/chat_files.h"

#include "base/error.h"
#include "base/file.h"
#include "formats/gguf.h"
#include "formats/json.h"
#include "model/model_folder.h"

namespace mfa {
namespace {

Json tokenizer_config(const fs::path& folder) {
  const fs::path path = folder / "tokenizer_config.json";
  if (!path_exists(path)) return Json::object();
  Json config = parse_json(MappedFile(path).text(), path.string());
  if (!config.is_object())
    bad_input("[{}] the document, got {}, expected an object", path.string(), config.type_name());
  return config;
}

std::optional<std::string> named_template(const Json& list, bool with_tools, std::string_view where) {
  std::optional<std::string> chosen;
  for (const Json& entry : list) {
    const std::string name = get_string(entry, "name", where);
    if (with_tools && name == "tool_use") return get_string(entry, "template", where);
    if (name == "default") chosen = get_string(entry, "template", where);
  }
  return chosen;
}

std::optional<std::string> folder_template(const fs::path& folder, bool with_tools) {
  const fs::path file = folder / "chat_template.jinja";
  if (path_exists(file)) return read_file(file);
  const std::string where = (folder / "tokenizer_config.json").string();
  const Json config = tokenizer_config(folder);
  const Json* found = find_member(config, "chat_template", where);
  if (found == nullptr) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_array())
    bad_input("[{}] chat_template, got {}, expected a text or a list of named ones", where, found->type_name());
  return named_template(*found, with_tools, where);
}

// A special token is a text, or an object around it.
std::string token_text(const Json& config, const char* key, std::string_view where) {
  const Json* token = find_member(config, key, where);
  if (token == nullptr) return {};
  return token->is_object() ? get_string(*token, "content", where) : get_string(config, key, where);
}

std::string gguf_token(const GgufFile& file, std::string_view key) {
  const std::optional<int64_t> id = file.find_int(key);
  const auto tokens = file.find_strings("tokenizer.ggml.tokens");
  if (!id || !tokens || *id < 0 || *id >= static_cast<int64_t>(tokens->size())) return {};
  return std::string((*tokens)[static_cast<size_t>(*id)]);
}

}  // namespace

std::optional<std::string> load_chat_template(const fs::path& model, bool with_tools) {
  if (!is_gguf_model(model)) return folder_template(folder_of(model), with_tools);
  const GgufFile file(model);
  if (with_tools)
    if (const auto text = file.find_string("tokenizer.chat_template.tool_use")) return std::string(*text);
  const auto text = file.find_string("tokenizer.chat_template");
  return text ? std::optional(std::string(*text)) : std::nullopt;
}

ChatTokens load_chat_tokens(const fs::path& model) {
  if (is_gguf_model(model)) {
    const GgufFile file(model);
    return {gguf_token(file, "tokenizer.ggml.bos_token_id"), gguf_token(file, "tokenizer.ggml.eos_token_id")};
  }
  const fs::path folder = folder_of(model);
  const std::string where = (folder / "tokenizer_config.json").string();
  const Json config = tokenizer_config(folder);
  return {token_text(config, "bos_token", where), token_text(config, "eos_token", where)};
}

}  // namespace mfa
