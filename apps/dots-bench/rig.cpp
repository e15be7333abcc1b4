#include "dots-bench/rig.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <utility>

namespace dots::bench {

void say(const std::string& text) {
  std::fprintf(stderr, "%s\n", text.c_str());
  std::fflush(stderr);
}

base::Result<std::unique_ptr<Rig>> Rig::make(const RunOptions& options, const std::string& self,
                                             const SetOptions& set) {
  std::unique_ptr<Rig> rig{new Rig{options, self}};
  auto made = ConfigSet::make(options.work_folder, set);
  if (!made) return made.error();
  rig->set_ = std::move(*made);
  if (options.keep) rig->set_->keep();
  return rig;
}

base::Result<Reference> Rig::start_reference(const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {self_, "reference"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  auto process = Process::start(command, set_->file("reference.log"), true);
  if (!process) return process.error();
  Reference reference{std::move(*process), {*model::parse_ip_address("127.0.0.1"), 0}};
  const std::string& port = reference.process->first_line();
  reference.address.port = static_cast<std::uint16_t>(std::strtoul(port.c_str(), nullptr, 10));
  return reference;
}

base::Result<void> Rig::start_echoes() {
  auto udp = start_reference({"udp"});
  if (!udp) return udp.error();
  plain_ = std::move(*udp);
  auto dtls = start_reference({"dtls", "--folder", set_->folder()});
  if (!dtls) return dtls.error();
  dtls_ = std::move(*dtls);
  return {};
}

base::Result<Target> Rig::echo_target(std::size_t sessions) {
  auto clients = set_->one_client();
  if (!clients) return clients.error();
  OpenOptions open;
  open.server = dtls_.address;
  open.credentials = *clients;
  open.sessions = sessions;
  auto opened = open_sessions(open);
  if (!opened) return base::Error{std::string{kDtlsEcho} + ": " + opened.error().message};
  return Target{dtls_.process.get(), nullptr, std::make_unique<Load>(std::move(opened->lanes))};
}

base::Result<void> Rig::start_daemon() {
  daemon_.reset();
  if (auto empty = set_->forget_state(); !empty) return empty;
  auto daemon = Daemon::start(options_.dotsd, *set_);
  if (!daemon) return daemon.error();
  daemon_ = std::move(*daemon);
  return {};
}

base::Result<Target> Rig::daemon_target(const std::vector<ClientCredentials>& clients, std::size_t sessions) {
  OpenOptions open;
  open.server = set_->server();
  open.credentials = clients;
  open.sessions = sessions;
  auto opened = open_sessions(open);
  if (!opened) return base::Error{"dotsd: " + opened.error().message};
  return Target{&daemon_->process(), daemon_.get(), std::make_unique<Load>(std::move(opened->lanes))};
}

std::vector<std::string> Rig::suites() const {
  std::vector<std::string> found;
  std::ifstream log{set_->file("reference.log")};
  for (std::string line; std::getline(log, line);) {
    if (line.starts_with("suite ")) found.push_back(line.substr(6));
  }
  return found;
}

}  // namespace dots::bench
