// HTTP as values (RFC 9110): what a client asks over the data channel, who it is, and what it is answered.
//
// The adapter owns everything between TCP and these values: TLS, framing, time-outs and bounds (src/adapters/http). A
// core room that serves resources sees whole requests of proven clients alone, and gives whole answers.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "model/peer.h"

namespace dots::ports {

struct HttpHeader {
  std::string name;
  std::string value;  // without white space around it
  friend bool operator==(const HttpHeader&, const HttpHeader&) = default;
};

// Field lines in the order of the message. Names are compared without case (RFC 9110 5.1).
class HttpHeaders {
 public:
  HttpHeaders() = default;
  HttpHeaders(std::initializer_list<HttpHeader> lines) : lines_(lines) {}

  void add(std::string name, std::string value) { lines_.push_back({std::move(name), std::move(value)}); }
  // Instead of every line of that name.
  void set(std::string_view name, std::string value);
  void erase(std::string_view name);

  // The first line of that name; nullptr without one.
  const std::string* find(std::string_view name) const;
  bool has(std::string_view name) const { return find(name) != nullptr; }
  // All lines of that name as one list, joined by ", " (RFC 9110 5.2); empty without one.
  std::string joined(std::string_view name) const;
  const std::vector<HttpHeader>& lines() const { return lines_; }

  friend bool operator==(const HttpHeaders&, const HttpHeaders&) = default;

 private:
  std::vector<HttpHeader> lines_;
};

struct HttpRequest {
  std::string method;  // as sent: methods have case (RFC 9110 9.1)
  // In origin form with its query, percent-encoding untouched: "/restconf/data?content=all"; or "*" (OPTIONS). Never
  // empty; an absolute form was reduced to this.
  std::string target;
  HttpHeaders headers;
  std::string body;  // whole, without transfer codings
};

struct HttpAnswer {
  int status = 200;  // final: 200..599
  // Content-Length, Transfer-Encoding, Connection and Date are the adapter's.
  HttpHeaders headers;
  std::string body;  // to HEAD: what GET would bring; the adapter leaves it out and keeps its length
};

// Why a request of ours got no answer.
struct HttpFailure {
  std::string reason;
  bool sent = false;  // some of it left, so that the server may have carried it out
};
using HttpOutcome = base::Result<HttpAnswer, HttpFailure>;

// The configured client that a proven identity belongs to.
struct HttpWho {
  base::DomainId domain;
  base::ClientId client;
  std::string credential = {};  // what proved it, for the audit log: "certificate edge.example.net"
  // Whose request it is, whatever proved it.
  friend bool operator==(const HttpWho& a, const HttpWho& b) { return a.domain == b.domain && a.client == b.client; }
};

// Who asks: proven by TLS, and configured.
struct HttpClient {
  base::DomainId domain;
  base::ClientId client;
  model::PeerIdentity identity;  // names, and the fingerprint of its key as on the signal channel
  model::SocketAddress peer;
  std::string credential = {};  // HttpWho::credential
};

// Gives the answer, exactly once, from any thread, now or later; answers of one connection leave in the order of its
// requests. When the connection is gone, the answer goes nowhere. Destroyed uncalled: the client gets a 503.
using HttpReply = std::function<void(HttpAnswer)>;
// Called on the server's thread with each whole request; must not block.
using HttpHandler = std::function<void(HttpRequest, const HttpClient&, HttpReply)>;

// "Not Found"; empty for a status without a registered phrase.
std::string_view reason_phrase(int status);

}  // namespace dots::ports
