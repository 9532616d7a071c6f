#include "render_flags.h"

#include "base/error.h"
#include "base/file.h"
#include "formats/chat_template.h"
#include "model/chat_files.h"

namespace mfa {
namespace {

OrderedJson read_ordered_json(const std::string& path) { return parse_ordered_json(MappedFile(path).text(), path); }

// A list of messages, or a request that holds one, as one sends it to a server.
OrderedJson list_in(OrderedJson document, const char* key) {
  return document.is_object() && document.contains(key) ? document[key] : document;
}

OrderedJson parse_variables(const std::vector<std::string>& given) {
  OrderedJson variables = OrderedJson::object();
  for (const std::string& pair : given) {
    const size_t mark = pair.find('=');
    if (mark == pair.npos || mark == 0) bad_input("[--set] got {}, expected NAME=JSON", pair);
    const std::string name = pair.substr(0, mark);
    variables[name] = parse_ordered_json(std::string_view(pair).substr(mark + 1), "--set " + name);
  }
  return variables;
}

}  // namespace

void RenderFlags::add_to(CLI::App& app) {
  app.add_option("model", model, "Model folder or GGUF file, for its template and its BOS and EOS")->type_name("MODEL");
  app.add_option("--messages", messages, "JSON: a list of OpenAI's messages")->required()->type_name("FILE");
  app.add_option("--tools", tools, "JSON: a list of OpenAI's tools")->type_name("FILE");
  app.add_option("--template", template_file, "A Jinja template instead of the model's")->type_name("FILE");
  app.add_option("--bos", bos, "The text of the token that begins a document (default: the model's)")
      ->type_name("TEXT");
  app.add_option("--eos", eos, "The text of the token that ends one (default: the model's)")->type_name("TEXT");
  app.add_option("--set", variables, "A variable for the template, such as enable_thinking=false")
      ->type_name("NAME=JSON")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_flag("--no-generation-prompt", no_generation_prompt, "Do not end with what makes the assistant speak");
}

std::string RenderFlags::render() const {
  if (model.empty() && template_file.empty()) bad_input("[render] expected a MODEL or --template FILE");
  const OrderedJson tool_list = tools.empty() ? OrderedJson() : list_in(read_ordered_json(tools), "tools");
  std::optional<std::string> source;
  if (template_file.empty()) {
    source = load_chat_template(model, !tools.empty());
  } else {
    source = read_file(template_file);
  }
  if (!source) bad_input("[{}] the model has no chat template; give one with --template FILE", model);
  const ChatTokens tokens = model.empty() ? ChatTokens() : load_chat_tokens(model);
  const ChatTemplate chat_template(std::move(*source), template_file.empty() ? "template of " + model : template_file);
  return chat_template.render(list_in(read_ordered_json(messages), "messages"), tool_list, bos.value_or(tokens.bos),
                              eos.value_or(tokens.eos), !no_generation_prompt, parse_variables(variables));
}

}  // namespace mfa
