// HTTPS to one server of the data channel: one connection that is kept, one request at a time. Lives on an event loop
// of its caller, who hands its events over.
//
// An address that cannot be reached gives way to the next. A request that a server may have seen is never sent twice,
// but for GET and HEAD on a connection that had been idle.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "adapters/http/client_connection.h"
#include "adapters/net/event_loop.h"
#include "base/result.h"
#include "model/peer.h"
#include "ports/secure_channel.h"

namespace dots::adapters::http {

struct HttpsClientOptions {
  std::string server_name;  // for SNI and the certificate
  std::string host;         // of the Host field: with a port that is not 443
  ClientLimits limits;
};

// Threads: the loop's alone, callbacks included.
class HttpsClient {
 public:
  using Addresses = base::Result<std::vector<model::SocketAddress>>;
  // Gives the addresses to try, now or later, on the loop's thread.
  using Resolve = std::function<void(std::function<void(Addresses)>)>;
  // `loop`, `connector` and what `resolve` uses outlive the client.
  HttpsClient(HttpsClientOptions options, net::EventLoop& loop, ports::ChannelConnector& connector, Resolve resolve);
  ~HttpsClient();
  HttpsClient(const HttpsClient&) = delete;
  HttpsClient& operator=(const HttpsClient&) = delete;

  // REQUIRES: none is under way. `done` is called exactly once, never before this returns.
  void ask(ports::HttpRequest request, std::function<void(ports::HttpOutcome)> done);
  // The connection is renewed: new credentials.
  void reconnect();
  void close();

  // Events of the loop; those of other paths are passed over.
  void on_bytes(const model::Path& path, base::ByteView bytes);
  void on_stream_ended(const model::Path& path, const std::string& reason);
  void on_timer();
  std::optional<base::SteadyTime> deadline() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dots::adapters::http
