#include "formats/chat_template.h"

#include <algorithm>

#include "base/error.h"
#include "formats/jinja/interpreter.h"
#include "formats/jinja/parser.h"
#include "formats/jinja/unicode.h"

namespace mfa {
namespace {

using jinja::Value;

// A parsed template takes up to 200 times the bytes of its source; the longest published ones have 30 KB.
constexpr size_t kMaxSource = 256 << 10;
// About a second of work, and live values of 32 MB beyond those given; both grow with what is given.
constexpr uint64_t kSteps = 6'000'000, kBytes = 32 << 20;
constexpr int kMaxDepth = 200;  // of JSON given

[[noreturn]] void fail_at(std::string_view source, size_t offset, std::string_view where, std::string_view message) {
  const std::string_view before = source.substr(0, std::min(offset, source.size()));
  const size_t line = 1 + static_cast<size_t>(std::count(before.begin(), before.end(), '\n'));
  const size_t line_begin = before.rfind('\n') == before.npos ? 0 : before.rfind('\n') + 1;
  bad_input("[{}] line {}, column {}: {}", where, line, jinja::count_code_points(before.substr(line_begin)) + 1,
            message);
}

Value from_json(const OrderedJson& json, uint64_t* bytes, int depth) {
  if (depth > kMaxDepth) jinja::fault("the data nest deeper than {} levels", kMaxDepth);
  *bytes += sizeof(Value);
  switch (json.type()) {
    case OrderedJson::value_t::null:
      return Value::none();
    case OrderedJson::value_t::boolean:
      return Value::boolean(json.get<bool>());
    case OrderedJson::value_t::number_integer:
      return Value::integer(json.get<int64_t>());
    case OrderedJson::value_t::number_unsigned:
      if (json.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        jinja::fault("{} is too large, expected an integer of at most 64 bits", json.get<uint64_t>());
      }
      return Value::integer(json.get<int64_t>());
    case OrderedJson::value_t::number_float:
      return Value::floating(json.get<double>());
    case OrderedJson::value_t::string: {
      const std::string& text = json.get_ref<const std::string&>();
      if (!jinja::is_valid_utf8(text)) jinja::fault("the data hold text that is not UTF-8");
      *bytes += text.size();
      return Value::string(text);
    }
    case OrderedJson::value_t::array: {
      jinja::Items items;
      for (const OrderedJson& item : json) items.push_back(from_json(item, bytes, depth + 1));
      return Value::list(std::move(items));
    }
    case OrderedJson::value_t::object: {
      std::vector<std::pair<Value, Value>> entries;
      for (const auto& [key, value] : json.items()) {
        *bytes += key.size();
        entries.emplace_back(Value::string(key), from_json(value, bytes, depth + 1));
      }
      return jinja::make_dict(std::move(entries));
    }
    default:
      jinja::fault("the data hold a value that JSON does not know");
  }
}

// Templates look for what a model thought under several names; transformers offers it under two.
OrderedJson with_reasoning(const OrderedJson& message) {
  if (!message.is_object()) return message;
  for (const char* name : {"reasoning_content", "thinking", "reasoning"}) {
    const auto found = message.find(name);
    if (found == message.end() || found->is_null()) continue;
    const OrderedJson reasoning = *found;
    OrderedJson out = {{"thinking", reasoning}};
    for (const auto& [key, value] : message.items()) out[key] = value;
    out["reasoning_content"] = reasoning;
    return out;
  }
  return message;
}

std::tm system_time() {
  const std::time_t seconds = std::time(nullptr);
  std::tm now{};
  localtime_r(&seconds, &now);
  return now;
}

}  // namespace

struct ChatTemplate::Impl {
  std::string where, given, source;  // source: with line ends normalized
  jinja::Body body;
  bool marks_assistant = false;
};

ChatTemplate::ChatTemplate(std::string source, std::string where) : clock_(system_time) {
  if (source.size() > kMaxSource) {
    bad_input("[{}] the template has {} bytes, expected at most {}", where, source.size(), kMaxSource);
  }
  if (!jinja::is_valid_utf8(source)) bad_input("[{}] the template is not UTF-8", where);
  const auto impl = std::make_shared<Impl>();
  impl->where = std::move(where);
  impl->source = jinja::normalized_source(source);
  impl->given = std::move(source);
  try {
    jinja::Parser parser(impl->source);
    impl->body = parser.parse();
    impl->marks_assistant = parser.marks_generation();
  } catch (const jinja::SyntaxFault& fault) {
    fail_at(impl->source, fault.offset, impl->where, fault.message);
  }
  impl_ = impl;
}

bool ChatTemplate::marks_assistant() const { return impl_->marks_assistant; }
const std::string& ChatTemplate::source() const { return impl_->given; }

std::string ChatTemplate::render(const OrderedJson& messages, const OrderedJson& tools, std::string_view bos,
                                 std::string_view eos, bool add_generation_prompt, const OrderedJson& extra) const {
  bool hidden = false;
  return run(chat_variables(messages, tools, bos, eos, add_generation_prompt, extra), &hidden).text;
}

RenderedChat ChatTemplate::render_with_spans(const OrderedJson& messages, const OrderedJson& tools,
                                             std::string_view bos, std::string_view eos, bool add_generation_prompt,
                                             const OrderedJson& extra) const {
  bool hidden = false;
  RenderedChat chat = run(chat_variables(messages, tools, bos, eos, add_generation_prompt, extra), &hidden);
  if (hidden) {
    bad_input("[{}] a generation block stands inside a macro or a captured block, so its place is not known",
              impl_->where);
  }
  return chat;
}

RenderedChat ChatTemplate::render_variables(const OrderedJson& variables) const {
  bool hidden = false;
  return run(variables, &hidden);
}

OrderedJson ChatTemplate::chat_variables(const OrderedJson& messages, const OrderedJson& tools, std::string_view bos,
                                         std::string_view eos, bool add_generation_prompt,
                                         const OrderedJson& extra) const {
  if (!messages.is_array()) bad_input("[{}] messages, got {}, expected a list", impl_->where, messages.type_name());
  if (!tools.is_array() && !tools.is_null()) {
    bad_input("[{}] tools, got {}, expected a list", impl_->where, tools.type_name());
  }
  if (!extra.is_object() && !extra.is_null()) {
    bad_input("[{}] the variables, got {}, expected an object", impl_->where, extra.type_name());
  }
  OrderedJson list = OrderedJson::array();
  for (const OrderedJson& message : messages) {
    if (!message.is_object()) {
      bad_input("[{}] a message, got {}, expected an object", impl_->where, message.type_name());
    }
    list.push_back(with_reasoning(message));
  }
  OrderedJson variables = {{"messages", std::move(list)},
                           {"tools", tools},
                           {"documents", nullptr},
                           {"add_generation_prompt", add_generation_prompt},
                           {"bos_token", bos},
                           {"eos_token", eos}};
  for (const auto& [key, value] : extra.items()) variables[key] = value;
  return variables;
}

RenderedChat ChatTemplate::run(const OrderedJson& variables, bool* hidden) const {
  size_t offset = 0;
  try {
    // What is given is not charged to the budget, which grows with it.
    uint64_t given = 0;
    std::vector<std::pair<std::string, Value>> names;
    for (const auto& [key, value] : variables.items()) names.emplace_back(key, from_json(value, &given, 0));
    jinja::Budget budget(kSteps + given, kBytes + 4 * given);
    std::vector<std::pair<std::string, Value>> globals = jinja::builtin_globals();
    for (auto& [name, value] : names) {
      std::erase_if(globals, [&](const auto& entry) { return entry.first == name; });
      globals.emplace_back(name, std::move(value));
    }
    jinja::Interpreter interpreter(std::move(globals), clock_);
    try {
      RenderedChat chat{interpreter.render(impl_->body), {}};
      for (const jinja::Span& span : interpreter.spans()) chat.assistant.push_back({span.begin, span.end});
      *hidden = interpreter.hidden_generation();
      return chat;
    } catch (const jinja::Fault&) {
      offset = interpreter.offset();
      throw;
    }
  } catch (const jinja::Fault& fault) {
    fail_at(impl_->source, offset, impl_->where, fault.message);
  }
}

}  // namespace mfa
