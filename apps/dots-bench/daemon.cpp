#include "dots-bench/daemon.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <sstream>
#include <thread>

#include "adapters/net/event_loop.h"
#include "adapters/pki/authority.h"
#include "dots-bench/requests.h"
#include "dotsctl/commands.h"
#include "dotsctl/exit_code.h"

namespace dots::bench {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// More than any workload makes: a quota that is reached would spoil the run.
constexpr std::uint32_t kMostMitigations = 1'000'000;
constexpr std::chrono::seconds kStartTime = 60s;
constexpr std::uint32_t kLeastPort = 5000;

bool is_free(std::uint16_t port, int type) {
  const int fd = ::socket(AF_INET6, type | SOCK_CLOEXEC, 0);
  sockaddr_in6 own{};
  own.sin6_family = AF_INET6;  // both families
  own.sin6_port = htons(port);
  const bool bound = fd >= 0 && ::bind(fd, reinterpret_cast<sockaddr*>(&own), sizeof own) == 0;
  if (fd >= 0) ::close(fd);
  return bound;
}

// Below the ports that the kernel hands out: our own sessions take hundreds of those before the daemon binds its port.
base::Result<std::uint16_t> free_port(int type = SOCK_DGRAM) {
  std::uint32_t first_handed_out = 0;
  std::ifstream{"/proc/sys/net/ipv4/ip_local_port_range"} >> first_handed_out;
  if (first_handed_out <= kLeastPort || first_handed_out > 65535) first_handed_out = 32768;
  const std::uint32_t choice = first_handed_out - kLeastPort;
  std::random_device random;
  for (int tries = 0; tries < 100; ++tries) {
    const auto port = static_cast<std::uint16_t>(kLeastPort + random() % choice);
    if (is_free(port, type)) return port;
  }
  return base::Error{std::string{"no free port: "} + std::strerror(errno)};
}

std::string client_name(std::size_t number) { return fmt::format("bench-{}", number); }

std::string domain_toml(const std::string& id, std::size_t number) {
  return fmt::format(R"(
[[domain]]
id = "{}"
prefixes = ["{}"]
max_mitigations = {}
activations_per_minute = 0

[[domain.client]]
id = "client"
psk_identities = ["{}"]
)",
                     id, domain_prefix(number), kMostMitigations, client_name(number));
}

base::Result<void> append(const std::string& file, const std::string& text) {
  std::ofstream out{file, std::ios::app | std::ios::binary};
  out << text;
  out.close();
  if (!out) return base::Error{"cannot write '" + file + "'"};
  return {};
}

std::string tail_of(const std::string& file) {
  std::ifstream in{file};
  std::string last;
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) last = line;
  }
  return last;
}

base::Result<ClientCredentials> load(const adapters::net::CredentialSources& sources) {
  auto loaded = adapters::net::Credentials::load(sources, adapters::net::Side::client, adapters::net::clock_now().wall);
  if (!loaded) return base::Error{adapters::net::to_string(loaded.error().front())};
  return *loaded;
}

}  // namespace

base::Result<std::unique_ptr<ConfigSet>> ConfigSet::make(const std::string& parent_folder, const SetOptions& options) {
  std::unique_ptr<ConfigSet> set{new ConfigSet};
  std::string pattern = parent_folder + "/dots-bench-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) {
    return base::Error{"no folder in '" + parent_folder + "': " + std::strerror(errno)};
  }
  set->folder_ = pattern;
  if (auto written = set->write(options); !written) return written.error();
  return set;
}

ConfigSet::~ConfigSet() {
  std::error_code ignored;
  if (!keep_ && !folder_.empty()) fs::remove_all(folder_, ignored);
}

base::Result<void> ConfigSet::write(const SetOptions& options) {
  const auto port = free_port();
  if (!port) return port.error();
  server_ = {*model::parse_ip_address("127.0.0.1"), *port};

  dotsctl::Options init;
  init.init.folder = folder_;
  init.init.set.signal_port = *port;
  init.init.set.prefixes = {"192.0.2.0/24"};
  init.init.set.mitigator = options.mitigator;
  std::istringstream nothing;
  std::ostringstream said;
  std::ostringstream complained;
  if (dotsctl::run_init(init, {nothing, said, complained}) != dotsctl::kOk) return base::Error{complained.str()};

  // The certificate that init made belongs to the client of init's own domain, which is as good as any for handshakes.
  std::string keys;
  // All sessions of a measurement may be of one domain.
  std::string domains = "\n[limits]\nsessions = 1000000\nsessions_per_domain = 1000000\n" +
                        fmt::format("\n[heartbeat]\ninterval_s = {}\n", options.heartbeat_interval_s) +
                        domain_toml("shared", 0);
  for (std::size_t i = 0; i <= options.domains; ++i) {
    auto key = adapters::pki::random_key(32);
    if (!key) return key.error();
    keys += client_name(i) + ":" + base::to_hex(*key) + "\n";
    psk_.push_back({client_name(i), std::move(*key)});
    if (i > 0) domains += domain_toml(fmt::format("domain-{}", i), i);
  }
  if (options.data_channel) {
    const auto data_port = free_port(SOCK_STREAM);
    if (!data_port) return data_port.error();
    data_server_ = {server_.ip, *data_port};
    // A limit that is reached would be measured.
    domains += fmt::format(
        "\n[data_channel]\nlisten = [\"127.0.0.1:{}\"]\nrequests_per_s = 1000000\nrequests_burst = 1000000\n",
        *data_port);
  }
  if (auto done = append(file("psk.txt"), keys); !done) return done;
  return append(file("server.toml"), domains);
}

base::Result<void> ConfigSet::forget_state() {
  std::error_code error;
  fs::remove_all(file("state/server"), error);
  if (!error) fs::create_directory(file("state/server"), error);
  if (!error) fs::permissions(file("state/server"), fs::perms::owner_all, error);
  if (error) return base::Error{"the state of dotsd cannot be emptied: " + error.message()};
  return {};
}

base::Result<std::vector<ClientCredentials>> ConfigSet::psk_clients(std::size_t first, std::size_t count) const {
  std::vector<ClientCredentials> clients;
  for (std::size_t i = first; i < first + count; ++i) {
    auto loaded = load({{}, {}, {}, {}, {psk_[i]}});
    if (!loaded) return loaded.error();
    clients.push_back(*loaded);
  }
  return clients;
}

base::Result<std::vector<ClientCredentials>> ConfigSet::one_client() const { return psk_clients(0, 1); }
base::Result<std::vector<ClientCredentials>> ConfigSet::domain_clients() const {
  return psk_clients(1, psk_.size() - 1);
}
base::Result<std::vector<ClientCredentials>> ConfigSet::x509_client() const {
  auto loaded = load({file("pki/ca.crt"), {}, file("pki/client.crt"), file("pki/client.key"), {}});
  if (!loaded) return loaded.error();
  return std::vector<ClientCredentials>{*loaded};
}

base::Result<std::unique_ptr<Daemon>> Daemon::start(const std::string& program, const ConfigSet& set) {
  return start(program, set.file("server.toml"), set.file("state/server/dotsd.sock"), set.file("dotsd.log"));
}

base::Result<std::unique_ptr<Daemon>> Daemon::start(const std::string& program, const std::string& config_file,
                                                    const std::string& socket, const std::string& log_file) {
  std::unique_ptr<Daemon> daemon{new Daemon};
  daemon->socket_ = socket;
  auto process = Process::start({program, "--config", config_file}, log_file, false);
  if (!process) return process.error();
  daemon->process_ = std::move(*process);
  const auto give_up = std::chrono::steady_clock::now() + kStartTime;
  while (std::chrono::steady_clock::now() < give_up) {
    if (!daemon->process_->running()) return base::Error{program + " ended at once: " + tail_of(log_file)};
    if (daemon->metrics().ok()) return daemon;
    std::this_thread::sleep_for(20ms);
  }
  return base::Error{program + " does not answer on its API socket; the last line of its log: " + tail_of(log_file)};
}

}  // namespace dots::bench
