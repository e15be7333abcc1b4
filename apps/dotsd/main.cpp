// dotsd: the DOTS agent of a network; the configuration says whether it is server or client.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>

#include "adapters/store/state_lock.h"
#include "api/server.h"
#include "apps/runtime/client_runtime.h"
#include "apps/runtime/server_runtime.h"
#include "apps/version.h"
#include "ops/config.h"
#include "ops/sink.h"

namespace {

using namespace dots;

int fail(const std::string& what) {
  std::fprintf(stderr, "dotsd: %s\n", what.c_str());
  return 1;
}

// The signals that end or wake the daemon are taken by the main thread alone; threads inherit the mask.
sigset_t take_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return set;
}

base::Result<std::unique_ptr<agent::Control>> start(const ops::Config& config, ops::Instruments& instruments) {
  if (config.role == ops::Role::server) {
    auto runtime = runtime::ServerRuntime::start(config, instruments);
    if (!runtime) return runtime.error();
    return std::unique_ptr<agent::Control>{std::move(*runtime)};
  }
  auto runtime = runtime::ClientRuntime::start(config, instruments);
  if (!runtime) return runtime.error();
  return std::unique_ptr<agent::Control>{std::move(*runtime)};
}

int run(const std::string& file) {
  const sigset_t signals = take_signals();
  auto config = ops::load_config(file);
  if (!config) {
    for (const auto& problem : config.error()) std::fprintf(stderr, "dotsd: %s\n", ops::to_string(problem).c_str());
    return fail("the configuration cannot be used");
  }
  ops::Instruments::Options options;
  options.log = config->log;
  auto instruments = ops::Instruments::open(std::move(options));
  if (!instruments) return fail(instruments.error().message);
  auto lock = adapters::store::StateLock::take(config->store.state_dir);
  if (!lock) return fail(lock.error().message);
  auto control = start(*config, **instruments);
  if (!control) {
    (*instruments)->flush();
    return fail(control.error().message);
  }
  auto api = api::Server::start({config->api, {}}, **control, **instruments);
  if (!api) return fail(api.error().message);
  (*instruments)
      ->message("AGENT_STARTED", std::string{"dotsd "} + kVersion + " as " +
                                     (config->role == ops::Role::server ? "server" : "client") + ", " + file);
  for (;;) {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0) continue;
    if (signal == SIGHUP) {
      // What becomes of it is told by the agent itself.
      (*control)->call({"reload", {}, {"SIGHUP", 0, true}}, [](const agent::CallAnswer&) {});
      continue;
    }
    (*instruments)->message("AGENT_STOPPING", signal == SIGINT ? "interrupted" : "asked to stop");
    break;
  }
  *api = nullptr;  // no new calls
  *control = nullptr;
  (*instruments)->message("AGENT_STOPPED", file);
  (*instruments)->flush();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"dotsd: DDoS Open Threat Signaling agent"};
  std::string file;
  app.add_option("--config,-c", file, "configuration file (TOML; see docs/configuration.md)")->required();
  app.set_version_flag("--version", std::string{"dotsd "} + kVersion);
  CLI11_PARSE(app, argc, argv);
  return run(file);
}
