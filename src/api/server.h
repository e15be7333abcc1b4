// The management API of a running daemon: HTTP/1.1 and JSON on a unix socket, on a thread of its own.
//
// POST /v1/<operation> with a JSON object; GET /v1/health; GET /metrics. docs/api.md describes operations and errors.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "agent/control.h"
#include "base/result.h"
#include "ops/config.h"
#include "ops/sink.h"

namespace dots::api {

struct ServerLimits {
  std::size_t connections = 64;
  std::size_t connections_per_user = 16;  // of users that may only look, and of strangers
  std::uint32_t header_bytes = 8192;
  std::uint64_t body_bytes = 4u << 20;  // a filter with thousands of entries
  std::chrono::milliseconds request_time{10000};  // from the first wait to the last byte of a request
  std::chrono::milliseconds answer_time{70000};   // of the agent, which may be asked to wait for 60 s
  std::chrono::milliseconds write_time{10000};
};

struct ServerOptions {
  ops::ApiConfig api;
  ServerLimits limits;
};

class Server {
 public:
  // `control` and `instruments` outlive the server. Fails with a sentence when the socket, a group or the metrics
  // address cannot be had.
  static base::Result<std::unique_ptr<Server>> start(ServerOptions options, agent::Control& control,
                                                     ops::Instruments& instruments);
  // Stops the thread and removes the socket. A call that the agent still holds may end later.
  ~Server();

  // The port of the metrics listener; 0 when there is none.
  std::uint16_t metrics_port() const;

 private:
  struct Core;
  explicit Server(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;
};

}  // namespace dots::api
