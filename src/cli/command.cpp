#include "command.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/thread_team.h"
#include "kernels/precision.h"

namespace mfa {
namespace {

// Devices and pipes: there is nothing to rename.
void write_through(const std::string& where, const std::string& text) {
  std::FILE* file = std::fopen(where.c_str(), "w");
  if (file == nullptr) bad_input("[json] cannot write {}: {}", where, std::strerror(errno));
  const bool whole = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (std::fclose(file) != 0 || !whole) fail("[json] cannot write {}: {}", where, std::strerror(errno));
}

}  // namespace

void Command::add_to(CLI::App& parent, const std::string& name, const std::string& summary,
                     const std::string& examples) {
  app = parent.add_subcommand(name, summary);
  app->footer(examples);
  app->add_option("--threads", globals.threads, "Threads (default: one for each core this process may use)")
      ->check(CLI::Range(1, 4096));
  app->add_option("--json", globals.json, "Write the result as JSON to FILE, or to standard output with -")
      ->type_name("FILE");
  app->add_flag("--quiet", globals.quiet, "No progress bars and no notes");
  add_flags();
  app->callback([this] {
    set_quiet(globals.quiet);
    if (globals.threads > 0) set_num_threads(globals.threads);
    run();
  });
}

std::string command_line() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string words{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!words.empty()) words.pop_back();
  std::replace(words.begin(), words.end(), '\0', ' ');
  return words;
}

void write_json(const std::string& where, const nlohmann::ordered_json& document) {
  // Invalid UTF-8 (a model may well produce it) is replaced: the document stays UTF-8.
  const std::string text = document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  if (where == "-") {
    std::fwrite(text.data(), 1, text.size(), stdout);
  } else if (std::error_code none; fs::exists(where, none) && !fs::is_regular_file(where, none)) {
    write_through(where, text);
  } else {
    write_file(where, text);
  }
}

void Command::finish(nlohmann::ordered_json result, const std::string& text) {
  nlohmann::ordered_json document = {{"mfa_version", MFA_VERSION}, {"command", json_name()}};
  document.update(result);
  if (!globals.json.empty()) write_json(globals.json, document);
  if (!globals.json_on_stdout()) std::fwrite(text.data(), 1, text.size(), stdout);
}

std::unique_ptr<Device> Command::open_device(const std::string& precision) {
  std::unique_ptr<Device> device = make_cpu_device();
  device->set_precision(parse_precision(precision, *device));
  return device;
}

std::vector<std::unique_ptr<Command>> all_commands(CLI::App& app) {
  std::vector<std::unique_ptr<Command>> commands;
  const auto add = [&](std::unique_ptr<Command> command, const char* name, const char* summary, const char* examples) {
    command->add_to(app, name, summary, examples);
    commands.push_back(std::move(command));
  };
  add(make_train_command(), "train", "Pre-train a model from text",
      "Examples:\n"
      "  mfa train --data corpus/ --out model --attention mfa --steps 2000\n"
      "  mfa train --data corpus/ --out model --attention mfa --steps 2000 --resume\n");
  add(make_compare_command(), "compare", "Train matched attention variants and report on them",
      "Examples:\n"
      "  mfa compare --data book.txt --out compare --variants mha,mfa,mfa-kr --steps 500 --seeds 3\n"
      "Running the same command again goes on where it stopped.\n");
  add(make_generate_command(), "generate", "Continue a prompt",
      "Filters act in this order: logit bias, penalties, top-k, typical-p, top-p, min-p, temperature.\n"
      "Ctrl-C ends the text; what there is stays, and the result is written.\n"
      "Examples:\n"
      "  mfa generate model -p 'In the beginning' -n 100 --temperature 0.8\n"
      "  mfa generate model --file story.txt -n -1 --top-k 40 --top-p 0.95 --min-p 0.05 --seed 7\n"
      "  mfa generate model -p 'Q: Why? A:' --stop 'Q:' --repetition-penalty 1.1 --logit-bias '\" the\":-2'\n");
  add(make_chat_command(), "chat", "Talk with a model by its chat template",
      "Lines: /reset forgets the talk, /regen answers again, /undo takes back the last question, /help, /exit.\n"
      "Without a terminal each line of standard input is a message.\n"
      "Examples:\n"
      "  mfa chat model --system 'You are brief.'\n"
      "  printf 'Hello\\nAnd again?\\n' | mfa chat model.gguf --greedy --json -\n"
      "  mfa chat model --template chatml.jinja --kv int8 --context 4096\n");
  add(make_perplexity_command(), "perplexity", "Perplexity and bits per byte of a model on a text",
      "Examples:\n"
      "  mfa perplexity model text.txt --context 512 --stride 256\n"
      "  mfa perplexity model text.txt --context 512 --score last-half --windows 100\n"
      "  mfa perplexity quantized text.txt --reference model\n");
  add(make_capacity_command(), "capacity", "Parameters, cache bytes, FLOPs and ranks, from the spec alone",
      "Examples:\n  mfa capacity paper-1b\n  mfa capacity model/ config.json --context 8192 --json -\n  mfa capacity "
      "mfa mla "
      "--width 1024 --layers 16\n  mfa capacity step3 --convention step3-report --context 32768\n  mfa capacity "
      "paper-7b "
      "--memory 24GiB --context 32768 --kv int8\n  mfa capacity paper-7b --hardware H800,H20 --batch 64\n");
  add(make_plan_command(), "plan", "Choose attention under budgets before training: the Pareto front of all variants",
      "Examples:\n"
      "  mfa plan --width 2048 --layers 20 --parameters mha --kv-bytes 20480 --out config.json --plot plan.svg\n"
      "  mfa plan --parameters 1.2B --layers 24 --vocab 65536 --kv-bytes 16384 --context 8192,32768 --hardware H20\n"
      "  mfa plan --width 1024 --layers 16 --heads 8..64:8 --head-dim 64,128 --variants mfa,mfa-kr --pick balanced\n");
  add(make_export_command(), "export", "Write a model for other engines",
      "Examples:\n  mfa export model folded --format hf\n  mfa export model model.gguf --format gguf --type q8_0\n");
  add(make_import_command(), "import", "Make a model folder of a llama2.c model",
      "Examples:\n  mfa import stories260K.bin stories --tokenizer tok512.bin\n");
  add(make_info_command(), "info", "What is in a model, or what this machine gives",
      "Examples:\n  mfa info model/\n  mfa info --cpu\n  mfa info --cpu --measure\n");
  add(make_bench_command(), "bench", "Speed, measured against the machine's own limits",
      "Examples:\n  mfa bench train --size 14m --attention mfa\n  mfa bench attention --heads 64 --context 32768 "
      "--plot roofline.svg --sweep\n"
      "  mfa bench attention --heads 16,64 --context 32768 --attention mfa,mfa-kr --kv bf16,int8\n"
      "  mfa bench model --size 100m --attention mfa --context 512,16384 --batch 1,4\n"
      "  mfa bench model SmolLM2-135M --context 2048 --prompt 512\n");
  add(make_tokenizer_command(), "tokenizer", "Train, encode, decode",
      "Examples:\n  mfa tokenizer train --data corpus/ --vocab 8192 --out tok\n  mfa tokenizer encode model -p "
      "'Hello'\n"
      "  mfa tokenizer decode model 12 7 99\n");
  return commands;
}

}  // namespace mfa
