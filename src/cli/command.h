// What every subcommand shares: the global flags, and where results go.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kernels/device.h"

namespace mfa {

// --threads, --json, --quiet of one subcommand.
struct Globals {
  int threads = 0;
  std::string json;  // file, "-" for standard output, empty for none
  bool quiet = false;
  bool json_on_stdout() const { return json == "-"; }
};

// One subcommand: its flags are registered at construction, its work is run() after parsing.
class Command {
 public:
  virtual ~Command() = default;
  CLI::App* app = nullptr;
  Globals globals;

  // Registers the flags on `app`; `examples` end the help text.
  void add_to(CLI::App& parent, const std::string& name, const std::string& summary, const std::string& examples);
  virtual std::string json_name() const { return app->get_name(); }
  virtual void run() = 0;

 protected:
  virtual void add_flags() = 0;
  // Writes `result` where --json says, adding mfa_version and command; prints `text` unless stdout is taken by JSON.
  void finish(nlohmann::ordered_json result, const std::string& text);
  // The device, with --precision applied.
  std::unique_ptr<Device> open_device(const std::string& precision = "auto");
};

// The words of this process's command line, as a shell shows them.
std::string command_line();

void write_json(const std::string& where, const nlohmann::ordered_json& document);

std::vector<std::unique_ptr<Command>> all_commands(CLI::App& app);

// One maker a file of this folder.
std::unique_ptr<Command> make_train_command();
std::unique_ptr<Command> make_compare_command();
std::unique_ptr<Command> make_generate_command();
std::unique_ptr<Command> make_chat_command();
std::unique_ptr<Command> make_perplexity_command();
std::unique_ptr<Command> make_capacity_command();
std::unique_ptr<Command> make_plan_command();
std::unique_ptr<Command> make_export_command();
std::unique_ptr<Command> make_import_command();
std::unique_ptr<Command> make_info_command();
std::unique_ptr<Command> make_bench_command();
std::unique_ptr<Command> make_tokenizer_command();

}  // namespace mfa
