// Chat formats for tests, written out here: what a template renders is not what is tested.
#pragma once

#include <string>

#include "base/error.h"
#include "train/chat_text.h"

namespace mfa::test {

// ChatML: <|im_start|>role\ncontent<|im_end|>\n. With `marked`, spans are the assistant's content and <|im_end|>, as a
// template with generation blocks has them.
inline ChatFormat chat_ml(bool marked = false) {
  ChatFormat format;
  format.marks_turns = marked;
  format.fingerprint = marked ? "chatml, marked" : "chatml";
  format.render = [marked](const OrderedJson& messages, const OrderedJson& tools, bool prompt) {
    ChatText chat;
    if (!tools.is_null()) chat.text += "<tools>" + tools.dump() + "</tools>\n";
    for (const OrderedJson& message : messages) {
      const std::string role = message.at("role"), content = message.at("content");
      if (role == "nobody") bad_input("[template] line 3, column 7: unknown role");
      chat.text += "<|im_start|>" + role + "\n";
      const size_t begin = chat.text.size();
      chat.text += content + "<|im_end|>";
      if (marked && role == "assistant") chat.spans.push_back({begin, chat.text.size()});
      chat.text += "\n";
    }
    if (prompt) chat.text += "<|im_start|>assistant\n";
    return chat;
  };
  return format;
}

// As Qwen3 does: the last turn gets an empty thought, earlier ones lose it.
inline ChatFormat thinking() {
  ChatFormat format;
  format.render = [](const OrderedJson& messages, const OrderedJson&, bool prompt) {
    ChatText chat;
    for (size_t i = 0; i < messages.size(); ++i) {
      const std::string role = messages[i].at("role"), content = messages[i].at("content");
      const bool thinks = role == "assistant" && i + 1 == messages.size();
      chat.text += "<" + role + ">" + (thinks ? "<think></think>" : "") + content + "<end>\n";
    }
    if (prompt) chat.text += "<assistant><think>";
    return chat;
  };
  return format;
}

inline Conversation conversation(const std::vector<std::pair<std::string, std::string>>& turns) {
  Conversation chat{OrderedJson::array(), nullptr};
  for (const auto& [role, content] : turns) chat.messages.push_back({{"role", role}, {"content", content}});
  return chat;
}

}  // namespace mfa::test
