// What a model's files say about chat: the template, and the texts of the tokens that begin and end a text.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace mfa {

// The source of the model's chat template (formats/chat_template.h renders it); nothing where it has none. A folder's
// chat_template.jinja, else "chat_template" of its tokenizer_config.json (a text, or a list of named ones: "default",
// and with tools "tool_use"); GGUF's tokenizer.chat_template.
std::optional<std::string> load_chat_template(const std::filesystem::path& model, bool with_tools = false);

struct ChatTokens {
  std::string bos, eos;  // as templates print them; empty where the model has none
};
ChatTokens load_chat_tokens(const std::filesystem::path& model);

}  // namespace mfa
