// The chat template of a model folder.
#include "base/error.h"
#include "base/file.h"
#include "formats/chat_template.h"

namespace mfa {
namespace {

// {} where the folder has no tokenizer_config.json.
Json tokenizer_config(const fs::path& folder) {
  const fs::path path = folder / "tokenizer_config.json";
  if (!path_exists(path)) return Json::object();
  Json config = parse_json(MappedFile(path).text(), path.string());
  if (!config.is_object())
    bad_input("[{}] the document, got {}, expected an object", path.string(), config.type_name());
  return config;
}

}  // namespace

std::optional<std::string> chat_template_of(const fs::path& folder, bool with_tools) {
  const fs::path file = folder / "chat_template.jinja";
  if (path_exists(file)) return read_file(file);
  const std::string where = (folder / "tokenizer_config.json").string();
  const Json config = tokenizer_config(folder);
  const Json* found = find_member(config, "chat_template", where);
  if (found == nullptr) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_array()) {
    bad_input("[{}] chat_template, got {}, expected a text or a list of named ones", where, found->type_name());
  }
  std::optional<std::string> chosen;
  for (const Json& entry : *found) {
    const std::string name = get_string(entry, "name", where);
    std::string source = get_string(entry, "template", where);
    if (with_tools && name == "tool_use") return source;
    if (name == "default") chosen = std::move(source);
  }
  return chosen;
}

std::string special_token_of(const fs::path& folder, std::string_view key) {
  const std::string where = (folder / "tokenizer_config.json").string();
  const Json config = tokenizer_config(folder);
  const Json* token = find_member(config, key, where);
  if (token == nullptr) return "";
  return token->is_object() ? get_string(*token, "content", where) : get_string(config, key, where);
}

}  // namespace mfa
