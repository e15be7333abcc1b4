// dots-bench: what dotsd costs, against what cannot be avoided (docs/performance.md).
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "apps/version.h"
#include "dots-bench/growth.h"
#include "dots-bench/load.h"
#include "dots-bench/reference.h"
#include "dots-bench/run.h"

namespace {

using namespace dots::bench;

int fail(int code, const std::string& what) {
  std::fprintf(stderr, "dots-bench: %s\n", what.c_str());
  return code;
}

std::string find_programs(RunOptions& options) {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  if (options.dotsd.empty()) options.dotsd = (std::filesystem::path{self}.parent_path() / "dotsd").string();
  return self;
}

bool write_file(const std::string& name, const std::string& text) {
  if (name.empty()) return true;
  std::ofstream file{name};
  file << text;
  file.close();
  return static_cast<bool>(file);
}

int run_all(RunOptions options) {
  const std::string self = find_programs(options);
  const auto report = run(options, self);
  if (!report) return fail(1, report.error().message);
  std::cout << table(*report);
  if (!write_file(options.json_file, json(*report))) return fail(1, "cannot write '" + options.json_file + "'");
  if (!options.require_goals) return 0;
  for (const Row& row : report->rows) {
    if (!row.met()) return fail(3, "a goal is missed: " + row.name);
  }
  return 0;
}

int run_growth(RunOptions options, const GrowthOptions& steps) {
  const std::string self = find_programs(options);
  const auto growth = grow(options, steps, self);
  if (!growth) return fail(1, growth.error().message);
  std::cout << csv(*growth);
  if (!write_file(steps.csv_file, csv(*growth))) return fail(1, "cannot write '" + steps.csv_file + "'");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"dots-bench: what dotsd costs, against a bare echo over the same TLS library"};
  app.set_version_flag("--version", std::string{"dots-bench "} + dots::kVersion);
  app.require_subcommand(1);

  RunOptions options;
  auto* run_command =
      app.add_subcommand("run", "Measures. Ends with 1 when an answer was wrong, a cache answered or a limit fired");
  // Before the values, which then can change what it sets.
  run_command
      ->add_flag_callback(
          "--quick", [&options] { options.make_quick(); }, "Some seconds in all: shows that it works, measures nothing")
      ->trigger_on_parse();
  run_command->add_option("--json", options.json_file, "Writes the results as JSON too");
  run_command->add_option("--dotsd", options.dotsd, "The daemon; default: beside this program");
  run_command->add_option("--work-folder", options.work_folder, "Where the state goes: its disk is measured")
      ->capture_default_str();
  run_command->add_option("--only", options.only, "Workloads")
      ->check(CLI::IsMember(std::set<std::string>(std::begin(kWorkloads), std::end(kWorkloads))));
  run_command->add_option("--rounds", options.rounds, "Each measurement so many times")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  run_command->add_option("--requests", options.requests, "Requests in one measurement")
      ->capture_default_str()
      ->check(CLI::Range(100, 100'000'000));
  run_command->add_option("--mitigations", options.mitigations, "Durable requests in one measurement")
      ->capture_default_str()
      ->check(CLI::Range(100, 200'000));
  run_command->add_option("--active", options.active, "Mitigations that are there already")
      ->capture_default_str()
      ->check(CLI::Range(1000, 200'000));
  run_command->add_option("--domains", options.domains, "Domains that they are spread over")
      ->capture_default_str()
      ->check(CLI::Range(1, 50'000));
  run_command->add_option("--handshakes", options.handshakes, "Handshakes in one measurement")
      ->capture_default_str()
      ->check(CLI::Range(16, 1'000'000));
  run_command->add_option("--in-flight", options.in_flight, "Requests in flight")
      ->capture_default_str()
      ->check(CLI::Range(1, 100'000));
  run_command->add_option("--sessions", options.sessions, "Sessions; fewer would run out of message ids")
      ->capture_default_str()
      ->check(CLI::Range(kLeastSessions, std::size_t{50'000}));
  run_command->add_flag("--require-goals", options.require_goals, "Ends with 3 when a goal is missed");
  run_command->add_flag("--keep", options.keep, "Leaves the folder with configuration, state and logs");

  run_command->add_option("--idle-sessions", options.idle_sessions, "Sessions that only beat")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000));
  run_command->add_option("--flood", options.flood_per_s, "Forged hellos in a second while genuine clients connect")
      ->capture_default_str()
      ->check(CLI::Range(100, 10'000'000));

  RunOptions growth_options;
  growth_options.rounds = 3;
  growth_options.mitigations = 1000;
  GrowthOptions growth;
  auto* growth_command =
      app.add_subcommand("growth", "How costs grow with sessions and with active mitigations; prints CSV");
  growth_command->add_option("--csv", growth.csv_file, "Writes it there too");
  growth_command->add_option("--dotsd", growth_options.dotsd, "The daemon; default: beside this program");
  growth_command->add_option("--work-folder", growth_options.work_folder, "Where the state goes")
      ->capture_default_str();
  growth_command->add_option("--sessions", growth.sessions, "Numbers of sessions")
      ->capture_default_str()
      ->delimiter(',')
      ->check(CLI::Range(kLeastSessions, std::size_t{1'000'000}));
  growth_command->add_option("--active", growth.active, "Numbers of active mitigations, growing")
      ->capture_default_str()
      ->delimiter(',')
      ->check(CLI::Range(0, 500'000));
  growth_command->add_option("--rounds", growth_options.rounds, "Each measurement so many times")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));

  auto* reference = app.add_subcommand("reference", "A bare echo on 127.0.0.1; prints its port and runs until SIGTERM");
  reference->require_subcommand(1);
  reference->add_subcommand("udp", "UDP alone");
  std::string folder;
  auto* dtls = reference->add_subcommand("dtls", "DTLS 1.2 over GnuTLS");
  dtls->add_option("--folder", folder, "Credentials as `dotsctl init` makes them")->required();
  auto* https = reference->add_subcommand("https", "Boost.Beast over GnuTLS");
  https->add_option("--folder", folder, "Credentials as `dotsctl init` makes them")->required();
  unsigned beat_s = 0;
  dtls->add_option("--beat-s", beat_s, "A heartbeat to each session so often; 0: none");

  CLI11_PARSE(app, argc, argv);
  try {
    if (run_command->parsed()) return run_all(options);
    if (growth_command->parsed()) return run_growth(growth_options, growth);
    if (https->parsed()) return run_https(folder);
    return dtls->parsed() ? run_dtls_echo(folder, std::chrono::seconds{beat_s}) : run_udp_echo();
  } catch (const std::exception& error) {
    return fail(1, error.what());
  }
}
