// A client's relation to one server, pure: its sessions, when to open and to drop them, and the requests they carry.
//
// RFC 9132 4.7: without an attack a lost session is closed and opened again; during one it is kept, a second one is
// tried beside it, and everything goes over both until one of them has traffic again. RFC 9132 4.3: ways are tried one
// after the other with a short delay, UDP before TCP, and the first that answers wins. When that is TCP, the attempts
// over UDP that run go on - a lost datagram is no verdict - and later UDP is probed from time to time.
//
// Ownership: by the ClientAgent. Threads: none of its own. Bounds: at most two open sessions; handshakes: one
// per way, or three over UDP when there are fewer ways; errands are bounded by the requests.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/client/reconnect.h"
#include "agent/client/session.h"
#include "agent/client/ways.h"
#include "base/time.h"
#include "ports/resolver.h"
#include "ports/secure_channel.h"
#include "signal/client/requests.h"

namespace dots::agent::client {

// RFC 9132 4.3: a client on TCP never looks for UDP more often.
inline constexpr base::Duration kMinUdpProbe = std::chrono::minutes{5};

// What opens associations. `stream` may be null: then TCP is not used.
struct Connectors {
  Connectors(ports::ChannelConnector& d, ports::ChannelConnector* s = nullptr) : datagram(&d), stream(s) {}
  ports::ChannelConnector* datagram;
  ports::ChannelConnector* stream;
};

struct UpstreamSettings {
  std::string name;                             // in records
  std::string host;                             // for SNI and certificate check
  std::uint16_t port = 4646;                    // of looked-up addresses
  std::vector<model::SocketAddress> addresses;  // tried in order; empty: host is looked up
  base::Duration retry = std::chrono::seconds{300};
  bool udp = true, tcp = true;                        // which transports may be used
  base::Duration udp_probe = std::chrono::hours{24};  // on TCP; never under kMinUdpProbe
  SessionSettings session;
};

// What an upstream wants from the world; sockets are one for each session, named by its id.
struct UpstreamOutput {
  struct Open {
    base::SessionId session;
    Way way;
  };
  struct Send {
    base::SessionId session;
    base::Bytes datagram;
  };
  std::vector<Open> open;  // before `send`
  std::vector<Send> send;
  std::vector<base::SessionId> close;  // after `send`
  std::optional<std::string> resolve;  // look this name up
  std::vector<ErrandAnswer> answers;   // for the requests machine
  std::vector<signal::client::OperatorMessage> messages;
  coap::Counters counters;
  bool opened = false;  // a session
};

struct SessionView {
  base::SessionId id;
  Way way;
  std::string why;    // this way: what became of better ones
  std::string state;  // "connecting", "open", "lost"
  base::Duration age{};
  bool resumed = false;
  int missed_heartbeats = 0;
  std::optional<base::Duration> round_trip;
  std::size_t waiting = 0;
};

class Upstream {
 public:
  // `ids` counts session ids for all upstreams. REQUIRES: connectors and ids outlive the upstream.
  Upstream(UpstreamSettings settings, const Connectors& connectors, std::uint64_t& ids, std::uint64_t seed);

  void start(base::SteadyTime now, UpstreamOutput& out);
  void on_datagram(base::SessionId session, base::ByteView datagram, base::SteadyTime now, UpstreamOutput& out);
  // The network says that the server cannot be reached that way: the end of an attempt and of a session over TCP,
  // nothing for an open one over UDP.
  void on_unreachable(base::SessionId session, const std::string& reason, base::SteadyTime now, UpstreamOutput& out);
  void on_resolved(const ports::Resolution& resolution, base::SteadyTime now, UpstreamOutput& out);
  void on_timer(base::SteadyTime now, UpstreamOutput& out);
  std::optional<base::SteadyTime> next_deadline(base::SteadyTime now) const;
  void close_all(UpstreamOutput& out);

  void add(const Errand& errand, base::SteadyTime now, UpstreamOutput& out);
  void remove(signal::client::SendId id, base::SteadyTime now, UpstreamOutput& out);
  // What the requests want: mitigating: the link may be saturated; urgent: something waits for a session.
  void set_need(bool mitigating, bool urgent, base::SteadyTime now, UpstreamOutput& out);

  // Another set is in force (RFC 9132 4.5), on the sessions of today and tomorrow.
  void set_parameters(const model::ParameterSet& parameters, base::SteadyTime now);

  bool owns(base::SessionId session) const;
  bool connected() const;
  const UpstreamSettings& settings() const { return settings_; }
  std::vector<SessionView> view(base::SteadyTime now) const;
  // When the next attempt starts, while none runs and one is wanted.
  std::optional<base::SteadyTime> next_attempt(base::SteadyTime now) const;
  const std::string& last_failure() const { return last_failure_; }

 private:
  struct Round {
    std::vector<Way> ways;
    std::size_t next = 0;
    base::SteadyTime next_at;
    bool resolving = false;
    base::SteadyTime begun{};
    bool parallel = false;  // beside a session whose requests go unanswered
    bool probe = false;     // for UDP alone, beside a session over TCP
  };
  Session* find(base::SessionId id) const;
  void absorb(base::SessionId id, SessionOutput&& output, base::SteadyTime now, UpstreamOutput& out);
  void drop(base::SessionId id, UpstreamOutput& out);
  void review(base::SteadyTime now, UpstreamOutput& out);
  void begin_round(bool parallel, base::SteadyTime now, UpstreamOutput& out);
  void continue_round(base::SteadyTime now, UpstreamOutput& out);
  void end_round(UpstreamOutput& out);
  // Another handshake of the round; false when it could not even begin.
  bool attempt(const Way& way, base::SteadyTime now, UpstreamOutput& out);
  // When handshakes over UDP that come to no end get another one beside them.
  std::optional<base::SteadyTime> next_beside(base::SteadyTime now) const;
  void set_ways(base::SteadyTime now);
  // The living session that carries the signal: over UDP before TCP, then the newest.
  Session* best() const;
  std::optional<base::SteadyTime> next_probe() const;
  bool wants_round() const;
  // When the requests on the sessions that are alive go too long without an answer: perhaps the server has restarted,
  // or a translator has another address for us. Nothing while all is well.
  std::optional<base::SteadyTime> doubtful_at() const;
  std::optional<base::SteadyTime> next_parallel(base::SteadyTime now) const;
  std::size_t open_sessions() const;
  bool connecting() const;
  void tell(const char* id, const std::string& text, UpstreamOutput& out) const;

  UpstreamSettings settings_;
  Connectors connectors_;
  std::uint64_t* ids_;
  std::uint64_t random_;
  Reconnect reconnect_;
  bool started_ = false;
  bool mitigating_ = false;
  bool urgent_ = false;
  std::vector<std::unique_ptr<Session>> sessions_;  // in the order of their creation
  std::optional<Round> round_;
  std::vector<model::SocketAddress> resolved_;
  WayMemory memory_;
  std::optional<base::SteadyTime> udp_tried_at_;
  std::map<signal::client::SendId, Errand> errands_;
  std::string last_failure_;
};

}  // namespace dots::agent::client
