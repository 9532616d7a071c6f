#include "runtime/conversation.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/error.h"

namespace mfa {
namespace {

// A character of the private use area, as UTF-8: U+E000 + i.
std::string private_character(unsigned i) {
  const unsigned code = 0xE000 + i;
  return {static_cast<char>(0xE0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 0x3F)),
          static_cast<char>(0x80 | (code & 0x3F))};
}

// One that no message holds. There are 6,400; a talk that holds them all is no talk.
std::string unused_character(std::span<const ChatMessage> messages) {
  for (unsigned i = 0; i < 6400; ++i) {
    std::string character = private_character(i);
    const bool used = std::any_of(messages.begin(), messages.end(),
                                  [&](const ChatMessage& m) { return m.content.find(character) != std::string::npos; });
    if (!used) return character;
  }
  bad_input("[chat] the messages hold every character of Unicode's private use area, expected one to be free");
}

size_t character_size(unsigned char lead) { return lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1; }

}  // namespace

Conversation::Conversation(std::string system) {
  if (!system.empty()) messages_.push_back({"system", std::move(system)});
  first_ = messages_.size();
}

void Conversation::ask(std::string text) {
  assert(!open());
  messages_.push_back({"user", std::move(text)});
}

void Conversation::answer(std::string text) {
  assert(open());
  messages_.push_back({"assistant", std::move(text)});
}

bool Conversation::open() const { return messages_.size() > first_ && messages_.back().role == "user"; }

bool Conversation::take_back_answer() {
  if (messages_.size() <= first_ || open()) return false;
  messages_.pop_back();
  return true;
}

bool Conversation::take_back_question() {
  take_back_answer();
  if (!open()) return false;
  messages_.pop_back();
  return true;
}

bool Conversation::forget_oldest_turn() {
  if (messages_.size() < first_ + 3) return false;
  const auto begin = messages_.begin() + static_cast<std::ptrdiff_t>(first_);
  messages_.erase(begin, begin + 2);
  return true;
}

void Conversation::clear() { messages_.resize(first_); }

ChatPrompt::ChatPrompt(const Tokenizer& tokenizer, Render render, std::vector<std::string> control)
    : tokenizer_(tokenizer), render_(std::move(render)), control_(std::move(control)) {
  std::erase(control_, "");
  // Longest first: of two names that begin alike, the longer is meant.
  std::sort(control_.begin(), control_.end(),
            [](const auto& a, const auto& b) { return a.size() != b.size() ? a.size() > b.size() : a < b; });
}

// The marker behind the first character of each control token's name: the text is cut there before it is encoded.
std::string ChatPrompt::guarded(std::string_view text, std::string_view marker) const {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const std::string_view rest = text.substr(i);
    const bool control =
        std::any_of(control_.begin(), control_.end(), [&](const std::string& name) { return rest.starts_with(name); });
    const size_t n = std::min(character_size(static_cast<unsigned char>(text[i])), rest.size());
    out += rest.substr(0, n);
    if (control) out += marker;
    i += n;
  }
  return out;
}

std::vector<int32_t> ChatPrompt::ids(std::span<const ChatMessage> messages) const {
  const std::string marker = unused_character(messages);
  std::vector<ChatMessage> shown(messages.begin(), messages.end());
  for (ChatMessage& message : shown)
    if (message.role == "user") message.content = guarded(message.content, marker);
  const std::string text = render_(shown, true);
  std::vector<int32_t> ids;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(marker, begin), text.size());
    tokenizer_.encode(std::string_view(text).substr(begin, end - begin), ids, true);
    begin = end == text.size() ? end + 1 : end + marker.size();
  }
  return ids;
}

std::vector<int32_t> ChatPrompt::end_tokens() const {
  const std::string answer = private_character(0);
  const std::vector<ChatMessage> messages = {{"user", "."}, {"assistant", answer}};
  std::string text;
  try {
    text = render_(messages, false);
  } catch (const Error&) {
    return {};  // a template may insist on another order of roles
  }
  const size_t at = text.rfind(answer);
  if (at == std::string::npos) return {};
  std::string_view behind = std::string_view(text).substr(at + answer.size());
  behind.remove_prefix(std::min(behind.find_first_not_of(" \n"), behind.size()));
  for (const std::string& name : control_) {
    if (!behind.starts_with(name)) continue;
    const std::vector<int32_t> ids = tokenizer_.encode(name, true);
    if (ids.size() == 1) return ids;
  }
  return {};
}

}  // namespace mfa
