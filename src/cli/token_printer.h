// Generated tokens to the terminal as they come: never half a UTF-8 character, never a part of a stop string.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/text_decoder.h"
#include "runtime/generate.h"
#include "runtime/stop_strings.h"

namespace mfa {

class TokenPrinter {
 public:
  // `continues`: the tokens go on from a text, so that a space at their start is their own.
  TokenPrinter(const Tokenizer& tokenizer, std::vector<std::string> stops, bool show, bool continues = true)
      : decoder_(tokenizer, continues), stops_(std::move(stops)), show_(show) {}

  // Text that is shown but is no part of text().
  void echo(std::string_view prompt) {
    if (!show_) return;
    std::fwrite(prompt.data(), 1, prompt.size(), stdout);
    std::fflush(stdout);
  }
  // False when the text has reached a stop string.
  bool token(int32_t id) {
    keep(stops_.add(decoder_.push(id)));
    return !stops_.stopped();
  }
  // Prints what was held back, and a line's end.
  void end() {
    keep(stops_.add(decoder_.finish()));
    keep(stops_.end());
    echo("\n");
  }
  const std::string& text() const { return text_; }  // of the tokens so far, without the stop string
  bool stopped() const { return stops_.stopped(); }

 private:
  void keep(const std::string& text) {
    text_ += text;
    echo(text);
  }

  TextDecoder decoder_;
  StopStrings stops_;
  std::string text_;
  bool show_;
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
