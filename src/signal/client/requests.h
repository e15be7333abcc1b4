// The mitigation requests of a DOTS client towards one server (RFC 9132 4.4), pure: events and `now` in, effects out.
//
// It knows what the operator wants, the cuid and the next mid, and brings the server to the same: PUT until answered,
// refreshed before expiry, observed and polled, withdrawn by DELETE until 2.02. How a send is repeated, and over which
// sessions it goes, is the agent's business (src/agent/client); whatever is sent stays wanted until it is answered.
//
// Ownership: one machine for each configured server. Threads: none of its own. Bounds: Settings.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "ports/store.h"
#include "signal/client/events.h"

namespace dots::signal::client {

struct Settings {
  std::string server;  // name of the configured server, in records and counters
  base::Cuid cuid;     // configured, or derived from the credentials
  std::uint32_t default_lifetime_s = 3600;
  std::uint32_t refresh_before_percent = 50;        // a refresh is sent when so much of the lifetime is left
  base::Duration poll = std::chrono::seconds{60};   // without news for so long the status is asked for
  base::Duration retry = std::chrono::seconds{60};  // after a server error that names no time
  std::size_t max_requests = 1000;
  std::size_t max_targets_per_request = 256;
  base::Duration efficacy_patience = std::chrono::seconds{60};
  // Ours (docs/extensions.md): are they sent, and what goes with every request?
  bool extensions = false;
  std::optional<std::string> contract_id;
  std::optional<std::string> requested_service;
  std::size_t max_ended = 64;  // remembered for the operator, oldest out first
};

enum class Phase : std::uint8_t {
  requesting,   // PUT on its way, never accepted so far
  active,       // accepted; perhaps being refreshed
  waiting,      // the server asked for patience (5.03, retry-timer): PUT again at `retry_at`
  withdrawing,  // DELETE on its way
  refused,      // final: the server said no
  ended,        // withdrawn, terminated, replaced
};
// "requesting", "active", ...
std::string_view name_of(Phase phase);

// A request as operators see it.
struct RequestView {
  ports::ClientRequestRecord record;
  Phase phase = Phase::requesting;
  bool refreshing = false;                        // a PUT of an accepted request is on its way
  std::optional<model::MitigationStatus> status;  // last told by the server
  std::optional<base::Duration> remaining;        // of the granted lifetime; absent: not granted or indefinite
  std::optional<std::uint64_t> mitigation_start_s;
  std::optional<model::ConflictInformation> conflict;
  model::DropCounters counters;
  std::vector<model::AclActivation> switched;        // filters that the server says it has switched itself
  std::optional<model::AttackStatus> attack_status;  // last told to the server, and taken by it
  std::optional<base::Duration> news_age;            // since the server last said something about it
  std::optional<base::Duration> retry_in;            // with Phase::waiting
  std::string reason;                                // why it waits, was refused or ended; with the diagnostic text
  // What a server with our extensions tells beside it.
  std::optional<model::RefusalReason> refusal_reason;
  std::string failure;  // with the reason while a mitigation is active: what does not work
  std::vector<std::string> offered_service;
  std::optional<std::string> service_used;
  std::vector<model::Prefix> actual_prefix;  // what is mitigated, when it differs from what was asked for
};

class Requests {
 public:
  // The seed makes new cuids after a collision (RFC 9132 4.4.1.1) reproducible.
  Requests(Settings settings, std::uint64_t seed);
  ~Requests();
  Requests(Requests&&) noexcept;
  Requests& operator=(Requests&&) noexcept;

  // Takes over what the store knows of this server: after a start, and after a refused commit. In the second case what
  // the server said meanwhile is kept and written again; operator wishes that were not stored are forgotten.
  void load(const ports::Snapshot& snapshot, base::Now now, Effects& out);

  // Wishes of the operator. The same scope again is the same request: its mid is returned, and it is refreshed when the
  // lifetime differs (scope changes need a new mid, RFC 9132 4.4.1.3).
  struct Accepted {
    base::Mid mid;
    bool existed = false;
  };
  base::Result<Accepted> mitigate(const Wanted& wanted, base::Now now, Effects& out);
  // Switches filters while the mitigation of this request runs: a request with a new mid and the same scope takes its
  // place (RFC 9133 3.2.1).
  base::Result<Accepted> control_filters(base::Mid mid, std::vector<model::AclActivation> acl_list,
                                         const std::string& author, const std::string& note, base::Now now,
                                         Effects& out);
  base::Result<void> withdraw(base::Mid mid, const std::string& author, const std::string& note, base::Now now,
                              Effects& out);
  base::Result<void> refresh(base::Mid mid, const std::string& author, base::Now now, Effects& out);
  // Tells the server how well the mitigation works (RFC 9132 4.4.3). Given up when no answer comes: by the RFC there is
  // none when the server does not know the mid.
  base::Result<void> efficacy(base::Mid mid, model::AttackStatus status, const std::string& author, base::Now now,
                              Effects& out);
  // Sends DELETE for a mid that we do not know (left behind by a lost state); nothing is stored.
  void withdraw_unknown(base::Mid mid, base::Now now, Effects& out);

  void on_answer(SendId id, const Answer& answer, base::Now now, Effects& out);

  // Redirected signaling (RFC 9132 4.6). Which server a send goes to is the agent's business.
  // The server has sent this request elsewhere: it has failed. Its mid, when it is one of ours.
  std::optional<base::Mid> redirected(SendId id, const std::string& why, base::Now now, Effects& out);
  // Another server takes over what lives, or only these mids: everything is asked for again there. A refusal there of
  // what was accepted before is no end: it is tried again, and at the next server.
  void move(const std::string& why, const std::optional<std::set<base::Mid>>& only, base::Now now, Effects& out);
  // The data channel has learnt that this cuid belongs to another client (RFC 8783 5.1). A new one is taken unless
  // something is active under it.
  void on_cuid_taken(const base::Cuid& taken, Effects& out);
  // No mid under `next` is used from now on: another machine of this client speaks to the same server.
  void use_mids_from(std::uint64_t next);
  void on_timer(base::Now now, Effects& out);
  std::optional<base::SteadyTime> next_deadline() const;

  // An immediate mitigation is wanted: the link may be saturated (RFC 9132 4.7).
  bool mitigating() const;
  // Likewise, or the withdrawal of one is not answered yet: the server that has it is still needed.
  bool engaged() const;
  // A mitigation that the server has accepted is active there, as far as it has told (RFC 9132 4.5: mitigating-config).
  bool active() const;
  // A request or a withdrawal waits for the server.
  bool urgent() const;

  std::vector<RequestView> view(base::Now now) const;  // by mid; refused and ended ones last
  std::optional<RequestView> find(base::Mid mid, base::Now now) const;
  const base::Cuid& cuid() const;
  std::uint64_t next_mid() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dots::signal::client
