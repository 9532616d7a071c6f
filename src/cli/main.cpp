// The program `mfa`: parses, runs one subcommand, turns errors into one line and an exit status.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "base/progress.h"
#include "command.h"

namespace {

// For failures: what --json said and which command it was, even when the rest of the line did not parse.
std::string json_target(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0 && i + 1 < argc) return argv[i + 1];
    if (std::strncmp(argv[i], "--json=", 7) == 0) return argv[i] + 7;
  }
  return {};
}

int report(int argc, char** argv, const std::string& message, int status) {
  mfa::print_error(message);
  const std::string target = json_target(argc, argv);
  if (target.empty()) return status;
  try {
    mfa::write_json(target, {{"mfa_version", MFA_VERSION}, {"command", argc > 1 ? argv[1] : ""}, {"error", message}});
  } catch (const std::exception&) {  // the error itself is already on stderr
  }
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"mfa — language models with a tiny key/value cache: train, compare, generate, measure", "mfa"};
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("mfa ") + MFA_VERSION);
  const auto commands = mfa::all_commands(app);
  try {
    app.parse(argc, argv);
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
      mfa::fail("[output] cannot write the result to standard output: {}", std::strerror(errno));
    return 0;
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForAllHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForVersion& version) {
    return app.exit(version);
  } catch (const CLI::RequiredError& error) {
    // CLI11 takes an unknown command for a missing one.
    if (argc > 1 && argv[1][0] != '-' && app.get_subcommands().empty())
      return report(argc, argv, std::string("[usage] unknown command, got ") + argv[1] + ", see mfa --help", 2);
    return report(argc, argv, std::string("[usage] ") + error.what() + " (mfa --help, mfa COMMAND --help)", 2);
  } catch (const CLI::ParseError& error) {
    return report(argc, argv, std::string("[usage] ") + error.what() + " (mfa --help, mfa COMMAND --help)", 2);
  } catch (const mfa::Error& error) {
    return report(argc, argv, error.what(), error.exit_status());
  } catch (const std::filesystem::filesystem_error& error) {
    return report(argc, argv, "[file] " + error.path1().string() + ": " + error.code().message(), 2);
  } catch (const std::bad_alloc&) {
    return report(argc, argv, "[memory] not enough memory for this; expected a smaller model, batch or context", 1);
  } catch (const std::exception& error) {
    return report(argc, argv, std::string("[internal] ") + error.what(), 1);
  }
}
