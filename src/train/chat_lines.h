// Conversations from .jsonl files: one a line, as OpenAI and TRL write them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "formats/json.h"
#include "train/text_source.h"

namespace mfa {

struct Conversation {
  OrderedJson messages;  // [{"role": …, "content": …}, …]
  OrderedJson tools;     // null, or a list of tools as OpenAI describes them
};

struct ChatLine {
  std::string text, where;  // where: "chat.jsonl:12"
};

// Lines of the files in order, empty ones left out; the files may be compressed. BadInput, naming file and line, for a
// damaged file and a line longer than `line_limit` bytes. `position`: bytes on disk read so far.
constexpr size_t chat_line_limit_bytes = size_t{64} << 20;
void for_each_chat_line(const std::vector<TextFile>& files,
                        const std::function<void(ChatLine line, int64_t position)>& call,
                        size_t line_limit = chat_line_limit_bytes);

// {"messages": [{"role": …, "content": …}, …], "tools": […]?}; other members are left to whoever wrote them. BadInput
// names the line and the message that is wrong: not an object, no role, content that is no string, list or null.
Conversation parse_conversation(const ChatLine& line);

}  // namespace mfa
