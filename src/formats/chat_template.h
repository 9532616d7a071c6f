// Chat templates: the Jinja that published models carry, rendered as transformers renders it.
#pragma once

#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "formats/json.h"

namespace mfa {

struct RenderedChat {
  struct Span {
    size_t begin, end;  // bytes of `text`
  };
  std::string text;
  std::vector<Span> assistant;  // what {% generation %} blocks rendered
};

// A template, parsed once; immutable and safe to use from many threads. Text is UTF-8.
//
// The language is Jinja2's with transformers' settings: sandboxed and immutable, trim_blocks, lstrip_blocks,
// break and continue, generation blocks, tojson, raise_exception, strftime_now. Templates come from strangers: work,
// memory and recursion are bounded. What is not supported (include, import, extends; integers beyond 64 bits; a few
// filters) is refused by name.
//
// Errors are BadInput: "[where] line L, column C: what", columns counted in characters from 1. What a template says
// with raise_exception is such an error.
class ChatTemplate {
 public:
  using Clock = std::function<std::tm()>;  // the local time

  explicit ChatTemplate(std::string source, std::string where = "template");

  // `messages`: a list of OpenAI's messages; `tools`: a list, or null; `extra`: an object whose members become
  // variables too (and win), or null.
  std::string render(const OrderedJson& messages, const OrderedJson& tools, std::string_view bos, std::string_view eos,
                     bool add_generation_prompt, const OrderedJson& extra = {}) const;
  // The same, with the places of the assistant's text; BadInput where the template marks it inside a macro or a
  // captured block, whose place is not known.
  RenderedChat render_with_spans(const OrderedJson& messages, const OrderedJson& tools, std::string_view bos,
                                 std::string_view eos, bool add_generation_prompt, const OrderedJson& extra = {}) const;
  // Any template with any variables (an object).
  RenderedChat render_variables(const OrderedJson& variables) const;

  bool marks_assistant() const;  // it has {% generation %} blocks
  const std::string& source() const;
  void set_clock(Clock clock) { clock_ = std::move(clock); }  // for tests; the default is the system's

 private:
  struct Impl;
  OrderedJson chat_variables(const OrderedJson& messages, const OrderedJson& tools, std::string_view bos,
                             std::string_view eos, bool add_generation_prompt, const OrderedJson& extra) const;
  RenderedChat run(const OrderedJson& variables, bool* hidden) const;

  std::shared_ptr<const Impl> impl_;
  Clock clock_;
};

}  // namespace mfa
