// Generated tokens to the terminal as they come: never half a UTF-8 character, never a part of a stop string.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/generate.h"
#include "runtime/stop_strings.h"
#include "text_stream.h"

namespace mfa {

class TokenPrinter {
 public:
  // `continues`: the tokens go on from a text, so that a space at their start is their own.
  TokenPrinter(const Tokenizer& tokenizer, std::vector<std::string> stops, bool show, bool continues = true)
      : tokenizer_(tokenizer),
        stops_(std::move(stops)),
        show_(show),
        spaces_(continues ? 0 : tokenizer.leading_spaces()) {}

  // Text that is shown but is no part of text().
  void echo(const std::string& prompt) {
    if (show_) out_.text(prompt);
  }
  // False when the text has reached a stop string.
  bool token(int32_t id) {
    std::string_view bytes = tokenizer_.token_bytes(id);
    for (; spaces_ > 0 && bytes.starts_with(' '); --spaces_) bytes.remove_prefix(1);
    if (!bytes.empty()) spaces_ = 0;
    keep(stops_.add(bytes));
    return !stops_.stopped();
  }
  // Prints what was held back, and a line's end.
  void end() {
    keep(stops_.end());
    if (show_) out_.end();
  }
  const std::string& text() const { return text_; }  // of the tokens so far, without the stop string
  bool stopped() const { return stops_.stopped(); }

 private:
  void keep(const std::string& text) {
    text_ += text;
    if (show_) out_.text(text);
  }

  const Tokenizer& tokenizer_;
  StopStrings stops_;
  TextStream out_;
  std::string text_;
  bool show_;
  int spaces_;  // at the text's start that are not its own
};

// Why a text ended, as --json says it.
inline const char* stop_reason(const GenerateResult& result, const TokenPrinter& printer) {
  if (printer.stopped()) return "stop";
  switch (result.stopped) {
    case StopReason::end_of_text:
      return "eos";
    case StopReason::interrupted:
      return "interrupt";
    default:
      return "length";
  }
}

}  // namespace mfa
