// One session of a client with its server, pure: (D)TLS channel, CoAP, heartbeats, and the errands it carries.
//
// Ownership: one for each attempt to connect, by its Upstream. Threads: none of its own.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/client/outbox.h"
#include "agent/client/reconnect.h"
#include "agent/client/ways.h"
#include "base/ids.h"
#include "base/time.h"
#include "coap/endpoint.h"
#include "model/peer.h"
#include "ports/secure_channel.h"
#include "signal/client/events.h"
#include "signal/heartbeat/heartbeat.h"

namespace dots::agent::client {

struct SessionSettings {
  model::ParameterSet parameters = model::in_force({}, {});  // the set in force when the session opens
  base::Duration handshake_time = kMinRetry;                 // the next attempt may not begin earlier
  coap::EndpointLimits endpoint;
};

// Answered names the errand; an observation is answered again and again.
struct ErrandAnswer {
  signal::client::SendId id;
  signal::client::Answer answer;
};

struct SessionOutput {
  std::vector<base::Bytes> send;  // datagrams of the channel
  std::vector<ErrandAnswer> answers;
  bool opened = false;
  bool closed = false;  // by the peer, or because it failed: drop the session
  std::string reason;   // why it closed
  bool lost = false;    // see signal::HeartbeatEffects
  bool recovered = false;
  coap::Counters counters;
};

class Session {
 public:
  // `first` is what ChannelConnector::connect gave; its datagrams are the caller's to send.
  Session(base::SessionId id, const Way& way, std::unique_ptr<ports::SecureChannel> channel,
          const SessionSettings& settings, std::uint64_t seed, base::SteadyTime now);

  void on_datagram(base::ByteView datagram, base::SteadyTime now, SessionOutput& out);
  void on_timer(base::SteadyTime now, SessionOutput& out);
  std::optional<base::SteadyTime> next_deadline(base::SteadyTime now) const;

  // REQUIRES: is_open().
  void add(const Errand& errand, base::SteadyTime now, SessionOutput& out);
  void remove(signal::client::SendId id, base::SteadyTime now, SessionOutput& out);
  void close(SessionOutput& out);
  // The round trip belongs to the way, not to the session: what another one has measured holds here as well.
  void inherit(const Session& other) { outbox_.inherit(other.outbox_.round_trip()); }
  // Another set is in force (RFC 9132 4.5): heartbeats and repetition follow at once.
  void set_parameters(const model::ParameterSet& parameters, base::SteadyTime now);

  base::SessionId id() const { return id_; }
  const Way& way() const { return way_; }
  // Established. Over TCP that is when the server has spoken: with TLS 1.3 its word on our credentials comes after our
  // own end of the handshake.
  bool is_open() const { return heartbeat_.has_value(); }
  bool is_lost() const { return heartbeat_ && heartbeat_->is_lost(); }
  int missed_heartbeats() const { return heartbeat_ ? heartbeat_->missed() : 0; }
  bool resumed() const { return channel_->resumed(); }
  base::SteadyTime since() const { return since_; }  // opened, or begun while it is not open
  std::optional<base::Duration> round_trip(base::SteadyTime now) const { return outbox_.round_trip().timeout(now); }
  std::size_t waiting() const { return outbox_.waiting(); }
  bool has_heard() const { return heard_; }  // plaintext of the server
  std::optional<base::SteadyTime> doubtful_at() const { return outbox_.doubtful_at(); }

 private:
  void absorb_channel(ports::ChannelEvents events, base::SteadyTime now, SessionOutput& out);
  void set_transmission();
  void establish(base::SteadyTime now, SessionOutput& out);
  void absorb_coap(coap::Effects effects, base::SteadyTime now, SessionOutput& out);
  void on_request(const coap::IncomingRequest& incoming, base::SteadyTime now, coap::Effects& effects,
                  SessionOutput& out);
  void on_heartbeat(const signal::HeartbeatEffects& effects, base::SteadyTime now, SessionOutput& out);
  void pump(base::SteadyTime now, SessionOutput& out);

  base::SessionId id_;
  Way way_;
  std::unique_ptr<ports::SecureChannel> channel_;
  SessionSettings settings_;
  std::uint64_t seed_;
  base::SteadyTime since_;
  std::optional<base::SteadyTime> channel_timeout_;
  std::optional<base::SteadyTime> handshake_deadline_;
  std::optional<coap::Endpoint> endpoint_;  // once the channel is open
  std::optional<signal::Heartbeat> heartbeat_;
  std::optional<coap::RequestId> heartbeat_request_;
  Outbox outbox_;
  bool heard_ = false;
};

// The meaning of a response; bodies that cannot be read are told as diagnostic text.
signal::client::Answer answer_of(signal::client::SendId id, const coap::Response& response);

}  // namespace dots::agent::client
