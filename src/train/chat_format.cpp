#include "train/chat_format.h"

#include <ctime>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "formats/chat_template.h"
#include "model/chat_files.h"

namespace mfa {
namespace {

// Templates that print the date (Llama 3.1) print the same one for all conversations and all runs: the data decides
// the tokens, not the day on which they were made. 26 July 2024 is what Llama's own template says without a clock.
std::tm fixed_day() {
  std::tm day{};
  day.tm_year = 124, day.tm_mon = 6, day.tm_mday = 26, day.tm_wday = 5, day.tm_yday = 207;
  return day;
}

ChatTemplate parse(const std::string& source, const std::string& where) {
  ChatTemplate parsed(source, where);
  parsed.set_clock(fixed_day);
  return parsed;
}

ChatText render(const ChatTemplate& chat_template, const ChatTokens& tokens, const OrderedJson& messages,
                const OrderedJson& tools, bool add_generation_prompt) {
  ChatText chat;
  if (!chat_template.marks_assistant()) {
    chat.text = chat_template.render(messages, tools, tokens.bos, tokens.eos, add_generation_prompt);
    return chat;
  }
  RenderedChat rendered =
      chat_template.render_with_spans(messages, tools, tokens.bos, tokens.eos, add_generation_prompt);
  chat.text = std::move(rendered.text);
  for (const RenderedChat::Span& span : rendered.assistant) chat.spans.push_back({span.begin, span.end});
  return chat;
}

}  // namespace

ChatFormat load_chat_format(const fs::path& model, const fs::path& template_file) {
  const bool own = !template_file.empty();
  const std::optional<std::string> source = own ? read_file(template_file) : load_chat_template(model);
  if (!source)
    bad_input("[chat] {} has no chat template; name a file that holds one with --chat-template", model.string());
  const std::string with_tools = own ? *source : load_chat_template(model, true).value_or(*source);
  const std::string where = (own ? template_file : model).string();
  const ChatTemplate plain = parse(*source, where), tooled = parse(with_tools, where);
  const ChatTokens tokens = load_chat_tokens(model);
  ChatFormat format;
  format.marks_turns = plain.marks_assistant() && tooled.marks_assistant();
  const std::string key = *source + '\0' + with_tools + '\0' + tokens.bos + '\0' + tokens.eos;
  format.fingerprint = checksum(std::as_bytes(std::span(key)));
  format.render = [=](const OrderedJson& messages, const OrderedJson& tools, bool add_generation_prompt) {
    return render(tools.is_null() ? plain : tooled, tokens, messages, tools, add_generation_prompt);
  };
  return format;
}

}  // namespace mfa
