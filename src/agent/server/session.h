// One session of a client at the server: CoAP, routing, heartbeats and the loss verdict, pure.
//
// The session's side of a request: it decides everything that needs no state of the domain (path, method, options,
// body) and answers that itself; only meaning travels on to the domain's owner (ARCHITECTURE: the life of a mitigation,
// steps 2 and 3). It turns the owner's answers into CoAP and CBOR.
//
// Ownership: one for each open session, by its shard. Threads: none of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/server/block_answer.h"
#include "agent/server/routing.h"
#include "agent/server/session_redirect.h"
#include "base/ids.h"
#include "base/request_rate.h"
#include "base/time.h"
#include "coap/body_assembly.h"
#include "coap/endpoint.h"
#include "model/peer.h"
#include "policy/identities.h"
#include "signal/heartbeat/heartbeat.h"
#include "signal/server/events.h"
#include "signal/server/session_config.h"

namespace dots::agent::server {

struct SessionSettings {
  // What holds until the client's own configuration is known (RFC 9132 4.5): the server's default values.
  std::shared_ptr<const signal::server::SessionParameters> parameters;
  coap::EndpointLimits endpoint;
  // How long a session of a stranger (a valid credential that no client of ours has) is kept to be told 4.01.
  base::Duration stranger_time = std::chrono::seconds{60};
  base::Duration block_time = std::chrono::seconds{30};  // how long a large answer is kept for its blocks
  std::size_t block_bytes = 65536;                       // of a large answer, and of all bodies that come in blocks
  wire::FilterControl filter_control = wire::FilterControl::on;  // RFC 9133
  bool extensions = true;                                        // ours (docs/extensions.md)
  base::RequestRate rate;                                        // heartbeats and withdrawals are served beyond it
};

struct SessionOutput {
  std::vector<base::Bytes> send;                 // plaintext, one datagram each
  std::vector<signal::server::Event> to_domain;  // in order
  std::vector<std::string> refusals;             // one sentence for each request that was refused here
  std::vector<std::string> cut;                  // one sentence for each answer that left out entries
  std::string close_reason;                      // not empty: close the session, after `send`
  bool redirected = false;                       // the client was told for the first time
  coap::Counters counters;
  std::uint64_t requests = 0;
  std::uint64_t heartbeats = 0;
  std::uint64_t throttled = 0;    // requests beyond the rate
  bool throttling_began = false;  // the first of them for a while
};

class Session {
 public:
  // `client` is empty for a stranger: every request of it is answered 4.01 (RFC 9132 section 9).
  // `settings` is shared by all sessions of the shard.
  Session(base::SessionId id, std::optional<policy::KnownClient> client, std::size_t max_plaintext,
          std::shared_ptr<const SessionSettings> settings, std::uint64_t seed, base::Now now,
          model::Transport transport = model::Transport::udp);

  // Once, before anything else.
  void start(base::Now now, SessionOutput& out);
  // Before the server closes the session by itself: a peer over TCP is told why (RFC 8323 5.5).
  void release(const std::string& why, SessionOutput& out);

  void on_plaintext(base::ByteView plaintext, base::Now now, SessionOutput& out);
  void on_timer(base::Now now, SessionOutput& out);
  std::optional<base::SteadyTime> next_deadline() const;

  // The domain's word, durable by now.
  void reply(const signal::server::Reply& reply, base::Now now, SessionOutput& out);
  void no_reply(const signal::server::NoReply& no_reply, base::Now now, SessionOutput& out);
  void notify(const signal::server::Notify& notify, base::Now now, SessionOutput& out);
  void reply(const signal::server::ConfigReply& reply, base::Now now, SessionOutput& out);
  void notify(const signal::server::ConfigNotify& notify, base::Now now, SessionOutput& out);
  // The session configuration takes effect at once: heartbeats, repetition of confirmable answers. It also tells
  // whether mitigations of the client run, as long as which no unforced redirection counts (RFC 8612 SIG-005).
  void apply(std::shared_ptr<const signal::server::SessionParameters> parameters, base::Now now, SessionOutput& out);

  // RFC 9132 4.6: the order for this client, null for none.
  void redirect(std::shared_ptr<const RedirectOrder> order, base::Duration grace, base::Now now, SessionOutput& out);
  const SessionRedirect& redirection() const { return redirect_; }

  base::SessionId id() const { return id_; }
  const std::optional<policy::KnownClient>& client() const { return client_; }
  bool lost() const { return heartbeat_.is_lost(); }
  bool quiet() const { return heartbeat_.is_quiet(); }
  // How long nothing may be heard before the signal is lost; zero while heartbeats are off.
  base::Duration loss_after() const { return heartbeat_.silence_allowed(); }
  int missed_heartbeats() const { return heartbeat_.missed(); }
  base::SteadyTime opened() const { return opened_; }
  const std::shared_ptr<const signal::server::SessionParameters>& parameters() const { return parameters_; }

 private:
  struct Get {
    base::Bytes token;
    coap::Request request;
  };
  void absorb(coap::Effects effects, base::Now now, SessionOutput& out);
  void handle(coap::IncomingRequest& incoming, base::Now now, SessionOutput& out);
  // Puts a body together that comes in blocks; false when the request is answered here.
  bool assemble(base::ExchangeId exchange, coap::Request& request, base::Now now, SessionOutput& out);
  void heartbeat_effects(const signal::HeartbeatEffects& effects, base::Now now, SessionOutput& out);
  void respond(base::ExchangeId exchange, const coap::Response& response, bool observe, base::Now now,
               SessionOutput& out);
  bool within_rate(const coap::Request& request, base::Now now);
  void throttle(base::ExchangeId exchange, base::Now now, SessionOutput& out);
  void refuse(base::ExchangeId exchange, const Refusal& refusal, base::Now now, SessionOutput& out);
  void end_observations(base::Now now, SessionOutput& out);
  void tell_redirect(base::Now now, SessionOutput& out);
  // Makes the response that fits; `get` is the request that it answers when that was a GET. False: nothing fits.
  using Rendering = std::function<bool(const coap::Request* get, coap::Response& response)>;
  void observed(Get get, SessionOutput& out);
  void answer(base::ExchangeId exchange, bool observe, base::Now now, SessionOutput& out, const Rendering& render);
  void tell(const base::Bytes& token, base::Now now, SessionOutput& out, const Rendering& render);
  void set_transmission();
  signal::HeartbeatConfig heartbeat_config() const;
  std::size_t payload_room() const;
  bool fit(const coap::Request& request, coap::Response& response, base::Now now);
  bool fit_newest(signal::server::Answer answer, const coap::Request& request, coap::Response& response, base::Now now,
                  SessionOutput& out);

  base::SessionId id_;
  std::optional<policy::KnownClient> client_;
  std::size_t max_plaintext_;
  std::shared_ptr<const SessionSettings> settings_;
  base::SteadyTime opened_;
  bool over_tcp_;
  std::shared_ptr<const signal::server::SessionParameters> parameters_;
  coap::Endpoint endpoint_;
  signal::Heartbeat heartbeat_;
  std::optional<coap::RequestId> heartbeat_request_;
  base::RequestBucket bucket_;
  base::SteadyTime quiet_until_{};  // about throttling, to the operator
  bool takes_extensions_ = false;   // the peer has said so
  // GETs that wait for the domain, and observed ones: their path and block option are needed when an answer comes.
  // Bounded by the endpoint's exchanges and observations.
  std::map<base::ExchangeId, Get> waiting_;
  std::map<base::Bytes, coap::Request> observed_;
  std::unique_ptr<BlockAnswer> blocks_;
  SessionRedirect redirect_;
  std::unique_ptr<coap::BodyAssembly> bodies_;
  // Block1 of the last block of bodies that wait for their answer, which carries it too (RFC 7959 2.3).
  std::map<base::ExchangeId, std::uint32_t> last_blocks_;
};

}  // namespace dots::agent::server
