#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "apps/version.h"
#include "dotsctl/commands.h"
#include "dotsctl/exit_code.h"
#include "ops/config_values.h"

namespace {

// The first word that was taken for a command and is none; CLI11 alone only says that a command is missing.
std::optional<std::string> unknown_command(const CLI::App& app, int argc, char** argv) {
  if (!app.get_subcommands().empty() || argc < 2 || *argv[1] == '-') return std::nullopt;
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(sub->get_name());
  const std::string word = argv[1];
  if (std::find(names.begin(), names.end(), word) != names.end()) return std::nullopt;
  const auto meant = dots::ops::closest(word, names);
  return "there is no command '" + word + "'" + (meant ? "; did you mean '" + *meant + "'?" : "");
}

}  // namespace

int main(int argc, char** argv) {
  using namespace dots::dotsctl;
  CLI::App app{"", "dotsctl"};
  Options options;
  build_cli(app, options);
  app.set_version_flag("--version", std::string{"dotsctl "} + dots::kVersion);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (const auto unknown = unknown_command(app, argc, argv)) {
      std::cerr << "error: " << *unknown << "\nnext:  dotsctl --help lists the commands\n";
      return kUsage;
    }
    const int code = app.exit(error);
    return code == 0 ? kOk : kUsage;
  }
  options.watch.redraw = ::isatty(STDOUT_FILENO) == 1;
  const int code = run(chosen_command(app), app, options, {std::cin, std::cout, std::cerr});
  std::cout.flush();
  // A full disk or a closed pipe is no success.
  return std::cout ? code : std::max<int>(code, kRefused);
}
