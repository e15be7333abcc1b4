// One shard of the server: its sessions, the client domains that it owns, and the gate between them. Pure.
//
// The session's shard is chosen by the peer's address, the domain's by its name (ARCHITECTURE idea 2); what must cross
// leaves in ShardOutput, one hand-over for each receive round. The shell (apps/runtime) performs every output.
//
// Ownership: one for each shard thread. Threads: that thread only.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "agent/peers/session_table.h"
#include "agent/server/accept_watch.h"
#include "agent/server/filters_in_force.h"
#include "agent/server/gate.h"
#include "agent/server/redirects.h"
#include "agent/server/session.h"
#include "agent/server/session_quota.h"
#include "base/ids.h"
#include "base/time.h"
#include "data/domain.h"
#include "mitigation/filters.h"
#include "model/peer.h"
#include "policy/domain_policy.h"
#include "policy/identities.h"
#include "ports/store.h"
#include "signal/server/domain.h"
#include "signal/server/session_config.h"

namespace dots::agent::server {

// A request on the data channel, for the shard that owns its domain.
struct DataRequest {
  base::DomainId domain;
  base::ClientId client;
  ports::HttpRequest request;
  std::uint64_t ticket = 0;     // ShardOutput::data_answers has it again
  std::string credential = {};  // what proved who the client is, for the audit log
};

struct ShardSettings {
  std::uint32_t index = 0;
  std::uint32_t shards = 1;
  SessionLimits sessions;
  std::size_t sessions_per_domain = 1000;  // here
  std::shared_ptr<const SessionSettings> session;
  signal::server::DomainLimits domain;
  std::shared_ptr<const policy::SessionBounds> bounds = std::make_shared<policy::SessionBounds>();
  signal::server::ConfigLimits configs;
  data::Options data;                                       // cuid_owner is the shard's own
  std::uint32_t retry_after_s = 5;                          // Max-Age of a 5.03 after a failed commit
  base::Duration recheck_every = std::chrono::seconds{60};  // the credentials of running sessions
  std::size_t events_while_reloading = 4096;                // kept for a domain; of further ones reports are dropped
};

// The shard that owns a domain's state.
std::uint32_t owner_of(const base::DomainId& domain, std::uint32_t shards);
inline std::uint32_t shard_of(base::SessionId session) { return static_cast<std::uint32_t>(session.value >> 48); }

struct ToDomain {
  base::DomainId domain;
  signal::server::Event event;
};
using ToSession =
    std::variant<signal::server::Reply, signal::server::NoReply, signal::server::Notify, signal::server::ConfigReply,
                 signal::server::ConfigNotify, signal::server::ApplyParameters>;
// DELETE must get through a full queue (ARCHITECTURE idea 2).
bool is_release(const ToDomain& message);

struct ShardCounts {
  std::uint64_t datagrams = 0, unknown_peer = 0, requests = 0, heartbeats = 0, refused = 0, notifications = 0,
                answers_cut = 0, reports_dropped = 0, credentials_ended = 0, throttled = 0, sessions_refused = 0,
                sessions_crowded_out = 0, data_requests = 0, damped = 0;
  coap::Counters coap;
  std::array<std::uint64_t, kRedirectReasons> redirected{};  // clients told, by RedirectReason
};

struct ShardOutput {
  std::vector<model::Datagram> send;
  std::map<std::uint32_t, std::vector<ToDomain>> to_domain;
  std::map<std::uint32_t, std::vector<ToSession>> to_session;
  std::optional<std::vector<ports::Change>> commit;  // answer with committed()
  std::vector<base::DomainId> reload;                // load_domain, then reloaded()
  std::vector<signal::server::DesiredRules> wants;   // durable
  std::vector<mitigation::DomainFilters> filters;    // durable; with `wants` of the same round in one go
  std::vector<std::pair<base::DomainId, std::string>> resolve;
  std::vector<signal::server::OperatorAnswer> operator_answers;
  std::vector<std::pair<std::uint64_t, ports::HttpAnswer>> data_answers;
  std::vector<model::Path> peers_opened;  // whose signal must never be cut
  std::vector<model::Path> peers_closed;
  std::vector<model::Path> close;  // TCP connections, after `send`
  std::vector<OperatorLine> lines;
  ShardCounts counts;
  std::optional<signal::server::ClientCounts> clients;  // of the domains here, when it has changed
  bool stalled = false;  // this shard did not run for a while: silence that it saw meanwhile proves nothing
};

// A list of filters as operators see it (dotsctl filters).
struct FilterListView {
  model::FilterListKey key;
  base::ClientId client;
  model::ActivationType activation = model::ActivationType::activate_when_mitigating;
  std::vector<model::FilterEntry> entries;
  base::Duration remaining{};  // until it must have been refreshed
  bool mitigating = false;     // its client has an active mitigation
  bool in_force = false;
  std::vector<std::string> left_out;  // entries that are not enforced: the domain does not own their destination
};

struct SessionView {
  base::SessionId session;
  std::optional<policy::KnownClient> client;
  model::Path path;
  base::Duration age{};
  bool lost = false;
  bool resumed = false;  // opened by a ticket
  std::shared_ptr<const signal::server::SessionParameters> parameters;
};

class Shard {
 public:
  Shard(const ShardSettings& settings, std::shared_ptr<const policy::Identities> identities,
        std::vector<std::shared_ptr<const policy::DomainRules>> domains,
        std::shared_ptr<const signal::server::Planner> planner, std::uint64_t seed);
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  // What the store holds, before the first datagram.
  void load(const ports::Snapshot& snapshot, base::Now now, ShardOutput& out);

  void on_admitted(Admitted admitted, base::Now now, ShardOutput& out);
  void on_datagram(const model::Datagram& datagram, base::Now now, ShardOutput& out);
  // The TCP connection of a session is over.
  void on_disconnected(const model::Path& path, const std::string& reason, base::Now now, ShardOutput& out);
  void on_message(ToDomain message, base::Now now, ShardOutput& out);
  void on_message(const ToSession& message, base::Now now, ShardOutput& out);
  // Another way to carry mitigations out, or other loads of the back ends.
  void set_planner(std::shared_ptr<const signal::server::Planner> planner, base::Now now,
                   signal::server::Replan which = signal::server::Replan::all);
  // To every domain of this shard.
  void on_back_ends(const signal::server::BackEndsReport& report);
  // The owner's queue was full: the peer is told to come again (clients repeat). What became of a session is said again
  // by the shard itself: nobody repeats that, and a domain that never hears of a session takes its client for lost.
  void on_undelivered(const ToDomain& message, base::Now now, ShardOutput& out);
  // REQUIRES: owner_of(asked.domain) is this shard.
  void on_data(const DataRequest& asked, base::Now now, ShardOutput& out);
  // What a back end counted since it last told, of domains of this shard.
  void on_filter_counts(const std::vector<mitigation::FilterCounts>& counts, base::Now now);
  void on_timer(base::Now now, ShardOutput& out);
  // Other credentials are in force: running sessions are checked against them at once, not at the next turn.
  void recheck_credentials(base::Now now);
  // The wall clock has stepped: idle domains write their deadlines by the new clock as well, before a restart reads
  // them.
  void on_clock_step(base::Now now, ShardOutput& out);
  // The operator has changed what is accepted as session configuration, or the server's default values.
  void set_session_bounds(std::shared_ptr<const policy::SessionBounds> bounds, base::Now now, ShardOutput& out);
  void close_all(const std::string& reason, base::Now now, ShardOutput& out);

  // A reload of the configuration, in two steps so that no client meets a domain that is not there: first the domains
  // on every shard, then the identities on every shard. What does not change is not disturbed. Domains: changed ones
  // check their mitigations again; new ones are loaded from the store (ShardOutput::reload); those that are gone own
  // nothing any more, so that their mitigations end.
  void set_domains(const std::vector<std::shared_ptr<const policy::DomainRules>>& domains, base::Now now,
                   ShardOutput& out);
  // Identities: a session whose identity names somebody else now is closed; the client comes back as who it is.
  void set_identities(std::shared_ptr<const policy::Identities> identities, base::Now now, ShardOutput& out);

  // What the process says about losses (LossGuard); to be said before end_of_round of the round in which it changed.
  void guard(const signal::server::SignalGuard& guard, base::Now now, ShardOutput& out);
  // Where clients are sent (RFC 9132 4.6). Replaces what was said before; a client with a running mitigation is left
  // alone until it has ended, unless its order is forced.
  void set_redirects(std::shared_ptr<const Redirects> redirects, base::Now now, ShardOutput& out);
  // The clients of this shard's sessions that an order concerns, and those that have left.
  std::vector<RedirectedClient> redirected(base::Now now) const;

  // Call once after each round of the calls above, and after committed() and reloaded().
  void end_of_round(base::Now now, ShardOutput& out);
  void committed(const ports::CommitResult& result, base::Now now, ShardOutput& out);
  void reloaded(const base::DomainId& domain, const ports::Snapshot& snapshot, base::Now now, ShardOutput& out);

  std::optional<base::SteadyTime> next_deadline() const;

  bool owns(const base::DomainId& domain) const { return domains_.count(domain) != 0; }
  std::vector<signal::server::MitigationView> mitigations(base::Now now) const;
  std::vector<SessionView> sessions(base::Now now) const;
  std::vector<FilterListView> filters(base::Now now) const;
  bool busy() const { return gate_.busy(); }  // a commit is out

 private:
  struct Live {
    Session session;
    model::Path path;
    bool resumed = false;
    std::optional<base::SteadyTime> armed;
    bool crowded = false;  // opened when there were too many
  };
  struct Owned {
    signal::server::Domain machine;
    signal::server::SessionConfigs configs;
    data::Domain data;
    std::optional<base::SteadyTime> armed;
    bool reloading = false;
    std::set<model::RuleOwner> unsaid;                      // whose wishes went with a refused commit
    std::vector<Release> deferred;                          // withdrawals, reports and edges that came while reloading
    std::shared_ptr<const policy::DomainRules> next_rules;  // came while reloading
    bool next_planner = false;                              // likewise
    signal::server::ClientCounts clients{};                 // as added to the shard's
    std::vector<data::Outcome> beside = {};                 // of the data channel, by the step that is being made
    FiltersInForce filters;
    std::pair<std::uint64_t, std::uint64_t> filters_seen{};  // versions of the machines that `filters` is made of
    AcceptWatch accepts;
  };
  Owned owned_by(std::shared_ptr<const policy::DomainRules> rules);
  using SessionMap = std::unordered_map<base::SessionId, Live>;

  void forget_orphans(const ports::Snapshot& snapshot, base::Now now);
  void absorb(SessionEffects effects, base::Now now, ShardOutput& out);
  void crowd_out(base::SessionId id, base::Now now, ShardOutput& out);
  void absorb(SessionMap::iterator live, SessionOutput output, base::Now now, ShardOutput& out);
  void route_to_domain(base::SessionId session, signal::server::Event event, ShardOutput& out);
  void tell_edges_again(ShardOutput& out);
  void defer(Owned& owned, signal::server::Event event, base::Now now, ShardOutput& out);
  void step(const base::DomainId& id, Owned& owned, const signal::server::Event& event, base::Now now, int tries = 0);
  // Withdrawals out of a refused batch are done again; what of them must not be told as failed goes from `failed`.
  void load_data(const base::DomainId& id, Owned& owned, const ports::Snapshot& snapshot, base::Now now);
  void show_later(const base::DomainId& id, Owned& owned, data::Outcome outcome, std::uint64_t ticket);
  void again(std::vector<Release> releases, std::vector<Visible>& failed);
  void tally(Owned& owned);
  // Tells the back ends of filters that came into force or went out of it in this round.
  void update_filters();
  void watch_accepts(const base::DomainId& id, Owned& owned, base::Now now);
  void filters_anew(const base::DomainId& id, Owned& owned);
  // What the session configurations of the domain have to do with an event; true when it was theirs alone.
  bool step_configs(const base::DomainId& id, Owned& owned, const signal::server::Event& event, base::Now now,
                    ShardOutput& out);
  void perform(const base::DomainId& domain, signal::server::ConfigEffects effects, base::Now now, ShardOutput& out);
  void run_local(base::Now now, ShardOutput& out);
  void show(Visible visible, base::Now now, ShardOutput& out);
  void show_failed(Visible visible, base::Now now, ShardOutput& out);
  void to_session(ToSession message, base::Now now, ShardOutput& out);
  void refuse_event(const signal::server::Event& event, const std::string& why, base::Now now, ShardOutput& out);
  void redirect(SessionMap::iterator live, base::Now now, ShardOutput& out);
  void count_redirect(const Live& live, ShardOutput& out) const;
  void remember_departure(const Live& live, base::Now now);
  void arm(SessionMap::iterator live);
  void arm(const base::DomainId& id, Owned& owned);

  ShardSettings settings_;
  std::shared_ptr<const policy::Identities> identities_;
  std::shared_ptr<const signal::server::Planner> planner_;
  std::uint64_t seed_;
  SessionTable table_;
  SessionMap sessions_;
  SessionQuota quota_;
  std::vector<std::shared_ptr<const policy::DomainRules>>
      all_rules_;  // of every domain, at the first shard until load()
  std::map<base::DomainId, Owned> domains_;
  std::optional<signal::server::BackEndsReport> back_ends_;  // the last one, for domains that come later
  std::vector<ToDomain> local_;                              // events of this round for domains of this shard
  std::map<base::SessionId, ToDomain> untold_edges_;         // the newest of each session that its domain has not heard
  std::optional<base::SteadyTime> tell_again_at_;
  Gate gate_;
  std::optional<base::SteadyTime> recheck_at_;
  signal::server::ClientCounts clients_;
  bool clients_changed_ = false;
  bool losses_held_ = false;
  // After a failed commit new requests are told to come again for a while, so that batches hold withdrawals alone and
  // may use the reserve of a full disk.
  std::optional<base::SteadyTime> releases_only_until_;
  std::shared_ptr<const Redirects> redirects_ = std::make_shared<const Redirects>();
  struct Departure {
    std::uint64_t order = 0;
    base::SteadyTime at;
  };
  std::map<std::pair<base::DomainId, base::ClientId>, Departure> departed_;  // of the orders that stand
  std::set<std::pair<base::SteadyTime, base::SessionId>> session_deadlines_;
  std::set<std::pair<base::SteadyTime, base::DomainId>> domain_deadlines_;
  std::set<base::DomainId> filters_due_;  // whose filters in force may have changed in this round
};

}  // namespace dots::agent::server
