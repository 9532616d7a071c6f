// A talk between a person and a model, and the tokens that a chat template makes of it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "formats/tokenizer.h"

namespace mfa {

struct ChatMessage {
  std::string role, content;  // role: system, user or assistant
};

// Messages in turns: an optional system message, then questions and answers, the last question perhaps open.
class Conversation {
 public:
  explicit Conversation(std::string system = {});  // empty: none
  void ask(std::string text);                      // answers must have been given
  void answer(std::string text);
  bool open() const;          // the last message is a question
  bool take_back_answer();    // false: there is none
  bool take_back_question();  // the last question and its answer; false: there is none
  bool forget_oldest_turn();  // false: only the last question is left
  void clear();               // all but the system message
  std::span<const ChatMessage> messages() const { return messages_; }

 private:
  std::vector<ChatMessage> messages_;
  size_t first_;  // of the turns
};

class ChatPrompt {
 public:
  // Text of the messages; true: ending where the assistant's next answer begins.
  using Render = std::function<std::string(std::span<const ChatMessage>, bool)>;
  // `control`: names of the tokens that steer the model, as they stand in the template.
  ChatPrompt(const Tokenizer& tokenizer, Render render, std::vector<std::string> control);

  // Tokens up to where the answer begins. Names of control tokens inside a person's text stay text: nobody ends his
  // turn or speaks for the system by typing them.
  std::vector<int32_t> ids(std::span<const ChatMessage> messages) const;
  // The control token that the template puts behind an answer, if it does.
  std::vector<int32_t> end_tokens() const;

 private:
  std::string guarded(std::string_view text, std::string_view marker) const;
  const Tokenizer& tokenizer_;
  Render render_;
  std::vector<std::string> control_;
};

}  // namespace mfa
