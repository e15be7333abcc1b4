// A dotsd of its own for a measurement: configuration, credentials and state in a folder of its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "dots-bench/lane.h"
#include "dots-bench/metrics.h"
#include "dots-bench/process.h"

namespace dots::bench {

// Clients that a set knows: all sessions of one domain, or one client in each of so many domains.
struct SetOptions {
  std::size_t domains = 1000;  // beside the one domain that all can share
  std::string mitigator = "dry-run";
  unsigned heartbeat_interval_s = 30;  // of the server
  bool data_channel = false;           // HTTPS on a port beside that of the signal channel
};

// What `dotsctl init` writes, with more domains and clients in it.
class ConfigSet {
 public:
  static base::Result<std::unique_ptr<ConfigSet>> make(const std::string& parent_folder, const SetOptions& options);
  ~ConfigSet();  // removes it, unless keep() was called
  ConfigSet(const ConfigSet&) = delete;
  ConfigSet& operator=(const ConfigSet&) = delete;

  const std::string& folder() const { return folder_; }
  std::string file(const std::string& name) const { return folder_ + "/" + name; }
  const model::SocketAddress& server() const { return server_; }
  const model::SocketAddress& data_server() const { return data_server_; }  // with SetOptions::data_channel
  const adapters::net::Psk& psk(std::size_t domain) const { return psk_[domain]; }
  void keep() { keep_ = true; }
  // Empties the state folder of the server. REQUIRES: no daemon runs on it.
  base::Result<void> forget_state();

  base::Result<std::vector<ClientCredentials>> one_client() const;      // PSK, of the shared domain
  base::Result<std::vector<ClientCredentials>> domain_clients() const;  // PSK, one for each domain
  base::Result<std::vector<ClientCredentials>> x509_client() const;     // of the shared domain

 private:
  ConfigSet() = default;
  base::Result<void> write(const SetOptions& options);
  base::Result<std::vector<ClientCredentials>> psk_clients(std::size_t first, std::size_t count) const;

  std::string folder_;
  model::SocketAddress server_, data_server_;
  std::vector<adapters::net::Psk> psk_;  // first that of the shared domain
  bool keep_ = false;
};

class Daemon {
 public:
  // Ready to answer when it returns.
  static base::Result<std::unique_ptr<Daemon>> start(const std::string& program, const ConfigSet& set);
  // One with a configuration of its own in that folder; its API is at `socket`.
  static base::Result<std::unique_ptr<Daemon>> start(const std::string& program, const std::string& config_file,
                                                     const std::string& socket, const std::string& log_file);

  base::Result<Metrics> metrics() const { return read_metrics(socket_); }
  const std::string& socket() const { return socket_; }  // of the API
  Process& process() { return *process_; }

 private:
  Daemon() = default;
  std::string socket_;
  std::unique_ptr<Process> process_;
};

}  // namespace dots::bench
