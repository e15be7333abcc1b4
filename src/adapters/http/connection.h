// One connection of the data channel as a machine: TLS, then one request after the other, each with its answer.
//
// (bytes, now) in, effects out. It reads no further while a request is being handled or answered, so that pipelined
// requests wait in the client's own socket. docs/decisions/https.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "adapters/http/answer_writer.h"
#include "adapters/http/http_limits.h"
#include "adapters/http/request_reader.h"
#include "base/time.h"
#include "ports/http.h"
#include "ports/secure_channel.h"

namespace dots::adapters::http {

// What all connections hold together; one thread.
struct WaitingBytes {
  std::size_t limit = 0;
  std::size_t used = 0;
};

struct ConnectionSettings {
  HttpLimits limits;
  // A fault becomes the answer that tells of it.
  std::function<ports::HttpAnswer(const HttpFault&)> render;
  // Asked when the peer has proven who it is. A fault: each request of the connection gets it, and nothing else.
  std::function<std::optional<HttpFault>(const model::PeerIdentity&, bool resumed)> judge;
  std::shared_ptr<WaitingBytes> waiting;
};

struct ConnectionEffects {
  base::Bytes send;                           // to the socket, before `close`
  std::optional<ports::HttpRequest> request;  // on_answer() is due
  std::optional<HttpFault> fault;             // told to the client
  std::optional<int> answered;                // the status that begins to leave
  std::optional<std::string> failed;          // the handshake: why
  const char* ended = nullptr;                // by us, before its time: the reason as a metric label
  bool close = false;                         // when what was sent has left
  bool drop = false;                          // at once
};

class HttpConnection {
 public:
  HttpConnection(std::unique_ptr<ports::SecureChannel> channel, std::shared_ptr<const ConnectionSettings> settings,
                 base::Now now);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  // What the domain of this client holds together; from now on.
  void share(std::shared_ptr<WaitingBytes> of_domain) { of_domain_ = std::move(of_domain); }

  void on_bytes(base::ByteView bytes, base::Now now, ConnectionEffects& out);
  // REQUIRES: handles().
  void on_answer(ports::HttpAnswer answer, base::Now now, ConnectionEffects& out);
  // The socket has taken what was sent. REQUIRES: wants_write().
  void on_writable(base::Now now, ConnectionEffects& out);
  void on_timer(base::Now now, ConnectionEffects& out);
  // The credential of the peer is looked at again.
  std::optional<std::string> recheck(base::Now now, ConnectionEffects& out);
  // Ends it: at once, or after the answer that is due.
  void stop(ConnectionEffects& out);
  // Ends it at once, with TLS's own last word.
  void end(ConnectionEffects& out);

  bool wants_read() const { return phase_ == Phase::handshake || phase_ == Phase::reading; }
  bool wants_write() const { return phase_ == Phase::answering; }
  bool handles() const { return phase_ == Phase::handling; }
  bool in_handshake() const { return phase_ == Phase::handshake; }
  bool over() const { return phase_ == Phase::over; }
  std::optional<base::SteadyTime> deadline() const;

 private:
  enum class Phase : std::uint8_t { handshake, reading, handling, answering, over };

  void advance(base::Now now, ConnectionEffects& out);
  void note_progress(base::Now now);
  void refuse(HttpFault fault, base::Now now, ConnectionEffects& out);
  void begin_answer(ports::HttpAnswer answer, bool keep_alive, base::Now now, ConnectionEffects& out);
  void send(base::ByteView plaintext, ConnectionEffects& out);
  // False when all connections together, or those of the domain, hold too much.
  bool charge(std::size_t bytes);

  std::shared_ptr<const ConnectionSettings> settings_;
  std::unique_ptr<ports::SecureChannel> channel_;
  RequestReader reader_;
  std::optional<AnswerWriter> writer_;
  std::optional<HttpFault> refused_;  // whatever it asks
  Phase phase_ = Phase::handshake;
  bool stopping_ = false;
  bool head_only_ = false, keep_alive_ = true;  // of the request that is handled
  bool close_after_ = false;                    // the answer that leaves
  std::size_t charged_ = 0;
  std::shared_ptr<WaitingBytes> of_domain_ = std::make_shared<WaitingBytes>(WaitingBytes{SIZE_MAX, 0});

  base::SteadyTime since_;                 // of what is waited for now
  std::optional<base::SteadyTime> begun_;  // the request that is read
  std::optional<std::size_t> body_mark_;   // how much of the body was there at since_
};

}  // namespace dots::adapters::http
