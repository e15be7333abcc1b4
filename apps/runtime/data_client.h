// The client's side of the data channel at work: one thread with its event loop, HTTPS to each server, and the pure
// machine of agent/data_client.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "adapters/net/credentials.h"
#include "adapters/net/ticket_cache.h"
#include "adapters/store/committer.h"
#include "agent/control.h"
#include "base/result.h"
#include "ops/config.h"
#include "ops/facts/messages.h"
#include "ports/resolver.h"
#include "ports/store.h"

namespace dots::runtime {

// Does a client with this configuration have a data channel at all?
bool has_data_channel(const ops::Config& config);

// Threads: any.
class DataClient {
 public:
  struct World {
    std::shared_ptr<const adapters::net::Credentials> credentials;
    std::shared_ptr<adapters::net::TicketCache> tickets;  // may be null
    ports::Resolver* resolver = nullptr;                  // null when every address is written down
    adapters::store::Committer* committer = nullptr;
    ops::facts::Sink* sink = nullptr;
    // The cuid of this server belongs to another client there. Called on the thread of the data channel.
    std::function<void(const std::string& server, const base::Cuid& cuid)> on_cuid_taken;
  };
  // REQUIRES: has_data_channel(config).
  DataClient(const ops::Config& config, World world);
  // stop()
  ~DataClient();
  DataClient(const DataClient&) = delete;
  DataClient& operator=(const DataClient&) = delete;

  // `cuids`: those of the signal channel, by server. Once.
  void start(const std::map<std::string, base::Cuid>& cuids, const ports::Snapshot& snapshot);

  // `done` is called exactly once.
  void call(agent::Call call, std::function<void(agent::CallAnswer)> done);
  // Adds what there is to be told of the data channel to the answer of `status`.
  void add_status(agent::CallAnswer answer, std::function<void(agent::CallAnswer)> done);
  void set_cuid(const std::string& server, const base::Cuid& cuid);
  // For connections from now on.
  void use(std::shared_ptr<const adapters::net::Credentials> credentials);
  // Calls that wait are answered; nothing is sent any more. The committer must still run.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dots::runtime
