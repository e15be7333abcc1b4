// The data channel in the daemon: from HTTPS to the shard that owns the domain, and back when the answer is durable.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "adapters/http/https_server.h"
#include "agent/server/shard.h"
#include "ops/config.h"
#include "policy/identities.h"

namespace dots::runtime {

// Threads: open() to start() one thread; the rest any.
class DataChannel {
 public:
  // To the owner of the domain; false: its queue is full. Called on the thread of the server.
  using Ask = std::function<bool(agent::server::DataRequest)>;

  static base::Result<std::unique_ptr<DataChannel>> open(const ops::DataChannelConfig& config,
                                                         std::shared_ptr<const adapters::net::Credentials> credentials,
                                                         const adapters::net::Resumption& resumption,
                                                         std::shared_ptr<const policy::Identities> identities, Ask ask,
                                                         ops::facts::Sink& sink);
  ~DataChannel();

  const std::vector<model::SocketAddress>& bound() const { return server_->bound(); }
  void start() { server_->start(); }
  // The shards must still run: the answers that are due come from them.
  void stop();

  // The owner's word; numbers of nobody are ignored.
  void answer(std::uint64_t ticket, ports::HttpAnswer answer);

  void believe(std::shared_ptr<const adapters::net::Credentials> credentials);
  void identify(std::shared_ptr<const policy::Identities> identities);
  void recheck() { server_->recheck(); }

 private:
  explicit DataChannel(Ask ask) : ask_(std::move(ask)) {}
  void handle(ports::HttpRequest request, const ports::HttpClient& client, ports::HttpReply reply);

  Ask ask_;
  std::mutex mutex_;  // guards what follows
  std::map<std::uint64_t, ports::HttpReply> replies_;
  std::uint64_t next_ticket_ = 1;
  std::unique_ptr<adapters::http::HttpsServer> server_;  // gone first
};

}  // namespace dots::runtime
