// What a conversation looks like to the model, and which of it the model has to learn.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "train/chat_lines.h"

namespace mfa {

struct ByteSpan {
  size_t begin = 0, end = 0;
  bool operator==(const ByteSpan&) const = default;
};

struct ChatText {
  std::string text;
  std::vector<ByteSpan> spans;  // of the assistant's turns, ascending
};

// A chat template at work.
struct ChatFormat {
  // Renders messages; spans are those of `{% generation %}` blocks. Throws BadInput where the template refuses.
  std::function<ChatText(const OrderedJson& messages, const OrderedJson& tools, bool add_generation_prompt)> render;
  bool marks_turns = false;  // the template has such blocks
  std::string fingerprint;   // changes when any rendering would
};

// The whole conversation, with the spans to learn: each of the assistant's turns from behind its header to the end of
// its end-of-turn token (white space behind that is nobody's turn), as TRL's assistant_only_loss does.
//
// Where the template does not mark them, they are found by rendering growing prefixes: the turn of message i is what
// rendering messages 0…i adds to messages 0…i−1 with a generation prompt. That needs a template which renders a message
// the same whatever follows. BadInput, naming `where`, for one that does not (Qwen3's, which drops the reasoning of
// earlier turns, when there are several).
ChatText render_conversation(const ChatFormat& format, const Conversation& conversation, const std::string& where);

}  // namespace mfa
