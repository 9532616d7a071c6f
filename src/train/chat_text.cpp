#include "train/chat_text.h"

#include <algorithm>

#include "base/error.h"

namespace mfa {
namespace {

[[noreturn]] void not_a_prefix(const std::string& where, size_t message) {
  bad_input(
      "[chat] {}: the template renders what comes up to message {} differently once other messages follow, so that the "
      "assistant's turns cannot be told apart; expected a template with {{% generation %}} blocks or one that only "
      "appends (name one with --chat-template)",
      where, message);
}

OrderedJson first_messages(const OrderedJson& messages, size_t n) {
  OrderedJson first = OrderedJson::array();
  for (size_t i = 0; i < n; ++i) first.push_back(messages[i]);
  return first;
}

size_t common_prefix(const std::string& a, const std::string& b) {
  return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

ByteSpan turn_of(const ChatFormat& format, const Conversation& chat, const std::string& whole, size_t i,
                 const std::string& where) {
  const OrderedJson before = first_messages(chat.messages, i);
  // Nothing may come before the assistant's own opening; templates need not render an empty list.
  const std::string prompt = i > 0 ? format.render(before, chat.tools, false).text : "";
  const std::string opened = i > 0 ? format.render(before, chat.tools, true).text : "";
  const std::string answered = format.render(first_messages(chat.messages, i + 1), chat.tools, false).text;
  if (!whole.starts_with(prompt)) not_a_prefix(where, i);
  if (!whole.starts_with(answered) || answered.size() < prompt.size()) not_a_prefix(where, i + 1);
  // A generation prompt may hold more than the header, such as "<think>", that a turn without reasoning lacks.
  return {std::max(prompt.size(), std::min(common_prefix(opened, whole), answered.size())), answered.size()};
}

void trim_end(const std::string& text, ByteSpan& span) {
  while (span.end > span.begin && std::string_view(" \t\r\n").find(text[span.end - 1]) != std::string_view::npos)
    --span.end;
}

}  // namespace

ChatText render_conversation(const ChatFormat& format, const Conversation& chat, const std::string& where) {
  ChatText rendered = format.render(chat.messages, chat.tools, false);
  if (!format.marks_turns) {
    rendered.spans.clear();
    for (size_t i = 0; i < chat.messages.size(); ++i)
      if (chat.messages[i].at("role") == "assistant")
        rendered.spans.push_back(turn_of(format, chat, rendered.text, i, where));
  }
  for (ByteSpan& span : rendered.spans) trim_end(rendered.text, span);
  std::erase_if(rendered.spans, [](const ByteSpan& span) { return span.begin == span.end; });
  return rendered;
}

}  // namespace mfa
