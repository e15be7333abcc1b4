// HTTPS for the data channel (RFC 8783): one thread that speaks TLS and HTTP/1.1, bounds everything, and hands whole
// requests of proven clients over. docs/decisions/https.md.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "adapters/http/http_limits.h"
#include "adapters/http/request_reader.h"
#include "adapters/net/credentials.h"
#include "adapters/net/resumption.h"
#include "base/ids.h"
#include "base/result.h"
#include "ops/facts/messages.h"
#include "ports/http.h"

namespace dots::adapters::http {

struct HttpsOptions {
  std::vector<model::SocketAddress> addresses;
  HttpLimits limits;
  base::Duration recheck_every = std::chrono::seconds{5};  // the credentials of those who are connected
};

// Who a proven identity is here; nothing for a stranger.
using Identify = std::function<std::optional<ports::HttpWho>(const model::PeerIdentity& identity)>;

struct HttpsHooks {
  Identify identify;          // called on the server's thread, like the others
  ports::HttpHandler handle;  // each request
  // The answer that tells a client of a fault; without it a line of text.
  std::function<ports::HttpAnswer(const HttpFault&)> render = {};
};

// Threads: open() to start() one thread; the rest any.
class HttpsServer {
 public:
  // Binds every address. Nobody is served before start().
  static base::Result<std::unique_ptr<HttpsServer>> open(const HttpsOptions& options,
                                                         std::shared_ptr<const net::Credentials> credentials,
                                                         net::Resumption resumption, HttpsHooks hooks,
                                                         ops::facts::Sink& sink);
  ~HttpsServer();
  HttpsServer(const HttpsServer&) = delete;
  HttpsServer& operator=(const HttpsServer&) = delete;

  const std::vector<model::SocketAddress>& bound() const;  // with the real ports
  void start();
  // Takes no more requests, waits until those under way are answered, at most `grace`, and ends. The handler's replies
  // must still be able to come. What comes later goes nowhere.
  void stop(base::Duration grace);

  // For handshakes from now on.
  void replace_credentials(std::shared_ptr<const net::Credentials> credentials);
  // Who is who from now on: connections of clients that are others now, or nobody, are closed.
  void replace_identify(Identify identify);
  // Looks at the credentials of those who are connected now.
  void recheck();

 private:
  struct State;
  explicit HttpsServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace dots::adapters::http
