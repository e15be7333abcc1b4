// What fits together and what does not: checks across keys, and of the files that keys name.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>
#include <string>

#include "ops/config_schema.h"
#include "ops/config_sections.h"
#include "ops/config_session.h"
#include "ops/config_values.h"
#include "policy/identities.h"
#include "policy/redirect_rules.h"

namespace dots::ops {
namespace {

constexpr std::size_t kMaxSocketPath = 107;  // sizeof(sockaddr_un::sun_path) - 1
constexpr std::size_t kMaxPskEntries = 1'000'000;

class Checker {
 public:
  Checker(Config& config, const ConfigPlaces& places, ConfigProblems& problems)
      : config_(config), places_(places), problems_(problems) {}

  void run() {
    fill_defaults();
    credentials();
    api();
    if (config_.resolver.ttl_min_s > config_.resolver.ttl_max_s)
      add("resolver.ttl_min_s", "is larger than ttl_max_s",
          "write at most " + std::to_string(config_.resolver.ttl_max_s));
    if (config_.role == Role::server) {
      unique(
          "mitigator", config_.mitigators, [](const MitigatorConfig& m) { return m.name; }, "name");
      check_mitigators(config_, places_, problems_);
      web_services();
      check_policy(config_, places_, problems_);
      domains();
      redirect();
      data_channel();
      check_session_config(config_, places_, problems_);
    } else {
      unique(
          "upstream", config_.upstreams, [](const UpstreamConfig& u) { return u.name; }, "name");
      upstreams();
    }
  }

 private:
  std::uint32_t line(std::string key) const {
    for (;;) {
      if (const auto it = places_.find(key); it != places_.end()) return it->second;
      const auto cut = key.find_last_of(".[");
      if (cut == std::string::npos) return 0;
      key.resize(cut);
    }
  }
  bool given(const std::string& key) const { return places_.contains(key); }
  void add(const std::string& key, std::string what, std::string remedy) {
    problems_.add(line(key), key, std::move(what), std::move(remedy));
  }

  void fill_defaults() {
    if (config_.role == Role::server && config_.listen.addresses.empty()) {
      if (given("listen.addresses")) {
        if (line("listen.addresses") != 0 && problems_.empty())
          add("listen.addresses", "is empty", "write at least one address, or leave the key out");
        return;
      }
      config_.listen.addresses = {{model::IpAddress{model::Family::ipv6, {}}, 4646},
                                  {model::IpAddress{model::Family::ipv4, {}}, 4646}};
    }
    for (MitigatorConfig& mitigator : config_.mitigators) {
      mitigator.state_dir = config_.store.state_dir;
      mitigator.dns_servers = config_.resolver.servers;
    }
    if (config_.api.socket.empty() && !config_.store.state_dir.empty())
      config_.api.socket = config_.store.state_dir + (config_.store.state_dir.ends_with('/') ? "" : "/") + "dotsd.sock";
  }

  // True when the file is there and we may read it.
  bool readable(const std::string& key, const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) {
      add(key, "there is no file '" + path + "'",
          "write the path of a file that exists; relative ones start at the folder of this file");
      return false;
    }
    if (!S_ISREG(info.st_mode)) {
      add(key, "'" + path + "' is no regular file", "write the path of a file");
      return false;
    }
    if (::access(path.c_str(), R_OK) != 0) {
      add(key, "'" + path + "' cannot be read by this user", "run: chown <user of the daemon> " + path);
      return false;
    }
    std::ifstream in{path, std::ios::binary};
    config_.contents[key] = std::hash<std::string>{}(std::string{std::istreambuf_iterator<char>{in}, {}});
    return true;
  }
  bool secret(const std::string& key, const std::string& path) {
    if (!readable(key, path)) return false;
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0 && (info.st_mode & S_IRWXO) != 0) {
      add(key, "every user may read or write the secret in '" + path + "'", "run: chmod o-rwx " + path);
      return false;
    }
    return true;
  }

  // Anywhere, readable or not: then a key of our own is enough.
  bool raw_public_keys() const {
    const std::string key = ".raw_public_keys";
    bool any = false;
    for (std::size_t i = 0; i < config_.domains.size(); ++i)
      for (std::size_t j = 0; j < config_.domains[i].clients.size(); ++j)
        any |= given("domain[" + std::to_string(i) + "].client[" + std::to_string(j) + "]" + key);
    for (std::size_t i = 0; i < config_.upstreams.size(); ++i)
      any |= given("upstream[" + std::to_string(i) + "]" + key);
    return any;
  }

  void web_services() {
    for (std::size_t i = 0; i < config_.mitigators.size(); ++i) {
      const MitigatorConfig& m = config_.mitigators[i];
      const std::string path = "mitigator[" + std::to_string(i) + "]";
      if (!m.url.empty()) readable(path + ".url_ca_file", m.url_ca_file);
      if (!m.secret_file.empty()) secret(path + ".secret_file", m.secret_file);
    }
  }

  // A server without a raw public key of its own is checked by its certificate.
  void upstreams() {
    const CredentialsConfig& c = config_.credentials;
    if (!raw_public_keys()) return;
    for (std::size_t i = 0; i < config_.upstreams.size(); ++i) {
      const std::string path = "upstream[" + std::to_string(i) + "]";
      const bool raw = !config_.upstreams[i].raw_public_keys.empty();
      if (raw && !c.psk_file.empty())
        add(path + ".raw_public_keys", "with a pre-shared key no public key is used",
            "leave credentials.psk_file out, or these keys");
      if (!raw && c.ca_file.empty() && c.psk_file.empty())
        add(path, "nothing to check this server with", "add raw_public_keys, or credentials.ca_file");
    }
  }

  void credentials() {
    if (!given("credentials")) return;
    CredentialsConfig& c = config_.credentials;
    const bool certificate = !c.certificate_file.empty();
    const bool raw = raw_public_keys();
    if (raw && c.key_file.empty() && (config_.role == Role::server || c.psk_file.empty()))
      add("credentials", "raw public keys are configured, and there is no key of our own", "add key_file");
    else if (certificate != !c.key_file.empty() && !raw)
      add(certificate ? "credentials.certificate_file" : "credentials.key_file",
          certificate ? "a certificate without its key" : "a key without its certificate",
          certificate ? "add key_file" : "add certificate_file");
    if (certificate && c.ca_file.empty() && !raw)
      add("credentials.certificate_file", "no authority to check the other side with", "add ca_file");
    if (!certificate && !raw && c.key_file.empty() && c.psk_file.empty())
      add("credentials", "no credentials at all", "add ca_file, certificate_file and key_file, or psk_file");
    if (!c.ca_file.empty()) readable("credentials.ca_file", c.ca_file);
    if (!c.crl_file.empty()) readable("credentials.crl_file", c.crl_file);
    if (certificate) readable("credentials.certificate_file", c.certificate_file);
    if (!c.key_file.empty()) secret("credentials.key_file", c.key_file);
    if (!c.psk_file.empty() && secret("credentials.psk_file", c.psk_file)) {
      c.psk = read_psk_file(c.psk_file, "credentials.psk_file", line("credentials.psk_file"), problems_);
      psk_read_ = true;
      if (config_.role == Role::client && c.psk.size() > 1)
        add("credentials.psk_file", "has " + std::to_string(c.psk.size()) + " keys, and a client uses one",
            "leave one line in the file");
    }
  }

  void api() {
    if (config_.api.socket.size() > kMaxSocketPath)
      add(given("api.socket") ? "api.socket" : "store.state_dir",
          "the socket '" + config_.api.socket + "' has a path of " + std::to_string(config_.api.socket.size()) +
              " bytes, and the system takes " + std::to_string(kMaxSocketPath),
          "write a shorter api.socket, for example \"/run/tidewall/dotsd.sock\"");
    groups_reach_the_socket();
    if (!config_.api.metrics_address.empty() && !config_.api.metrics_allow_remote) {
      const auto address = read_socket_address(config_.api.metrics_address, 9466);
      if (address && !is_loopback(address->ip))
        add("api.metrics_address", "'" + config_.api.metrics_address + "' can be reached from other machines",
            "write '127.0.0.1:" + std::to_string(address->port) + "', or allow it with metrics_allow_remote = true");
    }
  }

  // A group that cannot enter the folder of the socket has no use of its right, and nobody would tell why.
  void groups_reach_the_socket() {
    const std::string& socket = config_.api.socket;
    const char* group = !config_.api.operator_group.empty()    ? "operator_group"
                        : !config_.api.read_only_group.empty() ? "read_only_group"
                                                               : nullptr;
    if (group == nullptr || socket.empty()) return;
    const std::string folder = socket.substr(0, socket.rfind('/'));
    struct stat info {};
    const bool is_there = ::stat(folder.c_str(), &info) == 0;
    if (is_there ? (info.st_mode & (S_IXGRP | S_IXOTH)) != 0 : given("api.socket")) return;
    add(std::string("api.") + group,
        "members of this group cannot reach the socket '" + socket + "', because its folder is for the daemon alone",
        "write socket = \"/run/tidewall/dotsd.sock\" and run: install -d -m 0755 -o <user of the daemon> "
        "/run/tidewall");
  }

  template <class T, class Name>
  void unique(const std::string& section, const std::vector<T>& items, Name name, const std::string& key) {
    std::set<std::string> seen;
    for (std::size_t i = 0; i < items.size(); ++i)
      if (const std::string text = name(items[i]); !text.empty() && !seen.insert(text).second)
        add(section + "[" + std::to_string(i) + "]." + key, "'" + text + "' is taken by another " + section,
            "give each " + section + " its own");
  }

  void redirect() {
    const RedirectConfig& r = config_.redirect;
    if (r.alt_server.empty()) {
      for (const char* key : {"when_sessions_percent", "when_mitigators_down", "alt_server_records"}) {
        if (given(std::string("redirect.") + key))
          add(std::string("redirect.") + key, "there is no server to redirect to", "add alt_server");
      }
      return;
    }
    const auto allowed = policy::may_redirect_to({r.own_domains, r.any_domain}, {r.alt_server, r.alt_server_records});
    if (!allowed)
      add("redirect.alt_server", allowed.error().message, "add its domain to own_domains, or allow any_domain = true");
  }

  void data_channel() {
    const DataChannelConfig& d = config_.data_channel;
    if (d.waiting_bytes < d.body_bytes)
      add(given("data_channel.waiting_bytes") ? "data_channel.waiting_bytes" : "data_channel.body_bytes",
          "body_bytes " + std::to_string(d.body_bytes) + " is larger than waiting_bytes " +
              std::to_string(d.waiting_bytes) + ", so that such a body would never be taken",
          "write waiting_bytes = " + std::to_string(d.body_bytes) + " or more");
  }

  void domains() {
    unique(
        "domain", config_.domains, [](const policy::DomainPolicy& d) { return d.id.value; }, "id");
    bool nameable = true;
    for (std::size_t i = 0; i < config_.domains.size(); ++i) {
      const policy::DomainPolicy& d = config_.domains[i];
      const std::string path = "domain[" + std::to_string(i) + "]";
      if (d.prefixes.empty() && given(path + ".prefixes") && problems_.empty())
        add(path + ".prefixes", "is empty, so the domain can ask for nothing", "write the prefixes that it owns");
      if (d.default_lifetime_s > d.max_lifetime_s)
        add(path + (given(path + ".default_lifetime_s") ? ".default_lifetime_s" : ".max_lifetime_s"),
            "default_lifetime_s " + std::to_string(d.default_lifetime_s) + " is larger than max_lifetime_s " +
                std::to_string(d.max_lifetime_s),
            "write default_lifetime_s = " + std::to_string(d.max_lifetime_s) + " or less");
      if (d.terminating_period > d.terminating_period_max)
        add(path + (given(path + ".terminating_period_s") ? ".terminating_period_s" : ".terminating_period_max_s"),
            "terminating_period_s is larger than terminating_period_max_s",
            "write terminating_period_s = " + std::to_string(base::whole_seconds(d.terminating_period_max)) +
                " or less");
      unique(
          path + ".client", d.clients, [](const policy::ClientPolicy& c) { return c.id.value; }, "id");
      unique(
          path + ".contract", d.contracts, [](const policy::ContractPolicy& c) { return c.id; }, "id");
      for (std::size_t j = 0; j < d.clients.size(); ++j)
        nameable = client(d.clients[j], path + ".client[" + std::to_string(j) + "]") && nameable;
    }
    // Who may claim what is said once, in policy; it names the two claimants.
    if (nameable)
      if (const auto identities = policy::Identities::build(config_.domains); !identities)
        problems_.add(line("domain[0]"), "domain", identities.error().message, "give each name to one client only");
  }

  bool client(const policy::ClientPolicy& c, const std::string& path) {
    bool good = true;
    if (c.certificate_names.empty() && c.psk_identities.empty() && c.raw_public_keys.empty() &&
        !given(path + ".certificate_names") && !given(path + ".psk_identities") && !given(path + ".raw_public_keys")) {
      add(path, "no credential names this client", "add certificate_names, psk_identities or raw_public_keys");
      good = false;
    }
    const CredentialsConfig& own = config_.credentials;
    if (!c.certificate_names.empty() && given("credentials") && own.ca_file.empty())
      add(path + ".certificate_names", "certificates are named, but no authority is trusted",
          "add credentials.ca_file, certificate_file and key_file");
    for (const std::string& identity : c.psk_identities) {
      const bool known =
          std::any_of(own.psk.begin(), own.psk.end(), [&](const PskEntry& e) { return e.identity == identity; });
      if (known || (!own.psk_file.empty() && !psk_read_)) continue;
      add(path + ".psk_identities", "'" + identity + "' has no key",
          own.psk_file.empty() ? "add credentials.psk_file with a line '" + identity + ":<key in hexadecimal>'"
                               : "add a line '" + identity + ":<key in hexadecimal>' to " + own.psk_file);
    }
    return good;
  }

  Config& config_;
  const ConfigPlaces& places_;
  ConfigProblems& problems_;
  bool psk_read_ = false;
};

}  // namespace

void check_config(Config& config, const ConfigPlaces& places, ConfigProblems& problems) {
  Checker{config, places, problems}.run();
}

std::vector<PskEntry> read_psk_file(const std::string& path, const std::string& key, std::uint32_t line,
                                    ConfigProblems& problems) {
  std::vector<PskEntry> entries;
  std::set<std::string> seen;
  std::ifstream in{path};
  std::string text;
  std::uint32_t row = 0;
  std::size_t bad_rows = 0;
  const auto bad = [&](const std::string& what, const std::string& remedy) {
    if (++bad_rows <= 20) problems.add(line, key, path + ", line " + std::to_string(row) + ": " + what, remedy);
  };
  while (std::getline(in, text)) {
    ++row;
    if (!text.empty() && text.back() == '\r') text.pop_back();
    if (text.empty() || text.front() == '#') continue;
    const auto colon = text.rfind(':');
    // The line may hold a key: it is never repeated in a message.
    if (colon == std::string::npos || !read_line(text.substr(0, colon), 128)) {
      bad("is not 'identity:hexkey'", "write for example 'edge-1:' and 32 hexadecimal digits or more");
      continue;
    }
    const std::string identity = text.substr(0, colon);
    auto secret = base::from_hex(text.substr(colon + 1));
    if (!secret || secret->size() < 16 || secret->size() > 64) {
      bad("the key of '" + identity + "' is not 16 to 64 bytes in hexadecimal", "make one with: openssl rand -hex 32");
      continue;
    }
    if (!seen.insert(identity).second) {
      bad("'" + identity + "' stands twice", "remove one of the lines");
      continue;
    }
    if (entries.size() >= kMaxPskEntries) {
      bad("too many keys", "keep at most " + std::to_string(kMaxPskEntries));
      break;
    }
    entries.push_back({identity, std::move(*secret)});
  }
  if (entries.empty() && bad_rows == 0)
    problems.add(line, key, "'" + path + "' has no key", "add a line 'identity:hexkey'");
  return entries;
}

}  // namespace dots::ops
