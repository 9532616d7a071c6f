// mfa tokenizer render: the flags and the work.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

namespace mfa {

struct RenderFlags {
  std::string model, messages, tools, template_file;
  std::optional<std::string> bos, eos;
  std::vector<std::string> variables;  // NAME=JSON
  bool no_generation_prompt = false;

  void add_to(CLI::App& app);
  std::string render() const;
};

}  // namespace mfa
