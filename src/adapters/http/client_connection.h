// One connection to a server of the data channel as a machine: TLS, then one request after the other.
//
// (bytes, now) in, effects out, like connection.h of the other side.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "adapters/http/answer_reader.h"
#include "base/time.h"
#include "ports/http.h"
#include "ports/secure_channel.h"

namespace dots::adapters::http {

struct ClientLimits {
  AnswerLimits answer;
  base::Duration connect_time = std::chrono::seconds{10};  // TCP and TLS
  base::Duration answer_time = std::chrono::seconds{40};   // until an answer begins
  base::Duration stall_time = std::chrono::seconds{20};    // in which kProgressBytes of it must come, or the rest
  base::Duration whole_time = std::chrono::seconds{120};   // for all of it, and a second more for each 64 KB
  base::Duration idle_time = std::chrono::seconds{60};     // kept for further requests
};

struct ClientEffects {
  base::Bytes send;                           // before `close`
  std::optional<ports::HttpOutcome> outcome;  // of the request that was asked
  bool close = false;
};

class ClientConnection {
 public:
  // `first`: what connecting gave; it is sent when the socket is there. `host`: of the Host field.
  ClientConnection(std::unique_ptr<ports::SecureChannel> channel, std::string host, const ClientLimits& limits,
                   base::Now now);
  ~ClientConnection();
  ClientConnection(const ClientConnection&) = delete;
  ClientConnection& operator=(const ClientConnection&) = delete;

  // REQUIRES: !busy() and !over(). Waits for the handshake.
  void ask(ports::HttpRequest request, base::Now now, ClientEffects& out);
  void on_bytes(base::ByteView bytes, base::Now now, ClientEffects& out);
  // The socket is gone.
  void on_ended(const std::string& reason, base::Now now, ClientEffects& out);
  void on_timer(base::Now now, ClientEffects& out);
  void stop(ClientEffects& out);

  bool busy() const { return request_.has_value(); }
  bool over() const { return over_; }
  bool proven() const { return open_; }  // the server has proven who it is
  base::SteadyTime deadline() const;

 private:
  void send(base::Now now, ClientEffects& out);
  void fail(const std::string& reason, ClientEffects& out);
  void take(AnswerReader::Outcome outcome, base::Now now, ClientEffects& out);

  ClientLimits limits_;
  std::unique_ptr<ports::SecureChannel> channel_;
  std::string host_;
  AnswerReader reader_;
  std::optional<ports::HttpRequest> request_;
  bool sent_ = false;
  bool open_ = false;
  bool over_ = false;
  base::SteadyTime since_;  // of what is waited for now
  base::SteadyTime asked_{};
  base::Duration extra_{};  // for a large request on a slow way
  std::size_t mark_ = 0;    // how much of the answer was there at since_
};

}  // namespace dots::adapters::http
