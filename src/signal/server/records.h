// What a domain's machine remembers: plain data. Internal to this room.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "ports/store.h"
#include "signal/server/activations.h"
#include "signal/server/attack_volume.h"
#include "signal/server/events.h"
#include "signal/server/overlap.h"
#include "signal/server/timers.h"

namespace dots::signal::server {

// The newest request of another client that was refused because of this one: shown for as long as the other was told
// to wait.
struct Challenge {
  base::ClientId client;
  base::Mid mid;
  model::MitigationScope common;
  base::SteadyTime until{};
};

// A preconfigured request has ceased to run: the status that says why is shown for a while, then 8 (RFC 9132 Table 3).
// With 3 (attack stopped) goes what an active mitigation shows (Figure 14): since when it ran, and what it dropped.
struct Fade {
  std::optional<model::MitigationStatus> status;
  std::optional<base::WallTime> started_at;
  model::DropCounters counters;
  Timers::Handle timer;
};

struct Mitigation {
  // Its status is in_progress (running), client_withdrawn (active but terminating), withdrawn (deactivated by a
  // conflict, and kept) or signal_loss (armed: preconfigured and not running).
  ports::MitigationRecord record;
  std::optional<model::MitigationScope> whole;  // with aliases: whole_scope of the record; set by put_in
  ScopeIndex::Number number = 0;                // in the indices of overlaps
  Timers::Handle timer;                         // the steady side of record.deadline; none when indefinite
  RulesReport::State rules = RulesReport::State::pending;
  std::optional<base::SteadyTime> asked_at;  // until its rules were wanted for the first time
  std::string rules_reason;
  std::optional<model::RefusalReason> rules_why;
  std::set<std::string> without;            // see RulesReport
  std::optional<std::string> service;       // that it asked for or gets, by its contract
  Plan plan;                                // as it is carried out; its parts have gone to the back ends
  std::map<std::string, std::size_t> held;  // the number of rules in each of these parts
  AttackVolume volume;
  Timers::Handle volume_timer;
  std::string audited_failure;  // a failure that is tried again and again is one line in the audit log
  model::DropCounters counters;
  bool attack_stopped = false;  // by the back end's word
  bool held_back = false;       // armed, its client is lost, and a request of another client stands in the way
  std::optional<Challenge> challenge;
  Fade fade;
  bool starts = false;         // since the last plan: what a plan needs approval for is asked now, not later
  bool approval_late = false;  // that has been said
  Timers::Handle approval_timer;
  std::vector<std::string> acl_names;  // accept-lists that the attack uses (conflict-cause 2)

  const std::optional<std::string>& service_used() const { return plan.service ? plan.service : service; }
  // Why it does not work, or was not started.
  std::optional<model::RefusalReason> trouble() const { return rules_why ? rules_why : plan.not_started; }
  // Everything that is to be protected.
  const model::MitigationScope& targets() const { return whole ? *whole : record.request.scope; }
  bool preconfigured() const { return !record.request.trigger_mitigation; }
  bool armed() const { return record.status == model::MitigationStatus::signal_loss; }
  bool running() const { return record.status == model::MitigationStatus::in_progress; }
  bool terminating() const { return record.status == model::MitigationStatus::client_withdrawn; }
  bool deactivated() const { return record.status == model::MitigationStatus::withdrawn; }
  bool has_rules() const { return running() || terminating(); }
  bool awaits_approval() const { return running() && record.approval.state == ports::Approval::State::waiting; }
  // Wants to run and may not, because of a conflict.
  bool kept_out() const { return deactivated() || held_back; }
  // What only terminates, or waits for a loss, is in nobody's way (docs/decisions/conflicts.md).
  bool contends() const { return running() || kept_out(); }
  // There is something to tell periodically.
  bool lively() const { return !armed() || fade.status; }
  Key key() const { return {record.cuid, record.mid}; }
};

// A request that wants to run, against those of other clients.
struct Contest {
  std::vector<Mitigation*> winners;  // run, and go on running
  std::vector<Mitigation*> beaten;   // run, and must give way
  std::vector<Mitigation*> tied;     // neither they nor the newcomer may run
  bool is_lost() const { return !winners.empty(); }
};

// A list that somebody else than the signal channel has switched while a mitigation runs (RFC 9133 3.2.1).
struct FilterNews {
  model::ActivationType type = model::ActivationType::activate_when_mitigating;
  std::uint64_t number = 0;  // grows; what was told is below
};

struct CuidState {
  ports::CuidRecord record;
  std::map<base::Mid, Mitigation> mitigations;
  std::size_t lively = 0;
  std::map<std::string, FilterNews> filter_news;  // by acl-name
  std::uint64_t filter_news_polled = 0;           // told to those who do not observe
  std::size_t active = 0;                         // running or terminating
  bool counted_mitigating = false;                // by mitigating_version
};

// Is the signal of a client there? (docs/decisions/armed-requests.md)
enum class Presence : std::uint8_t {
  unseen,   // not heard of since the start, and nothing depends on it
  here,     // a session of it carries traffic
  waiting,  // its last session was closed: it may come back
  quiet,    // nothing heard for half of the time that makes a loss
  lost,
};

// A configured client identity, as far as it has shown up.
struct ClientState {
  std::set<base::Cuid> cuids;
  std::size_t active = 0;      // running or terminating
  std::size_t contenders = 0;  // of all its cuids
  std::set<base::SessionId> sessions;
  Presence presence = Presence::unseen;
  base::SteadyTime quiet_at{};  // waiting
  base::SteadyTime loss_at{};   // waiting, quiet without a session that is still judged
  Timers::Handle presence_timer;
  bool told_mitigating = false;  // the last ClientMitigating
  Activations activations;
  // Refusals in the audit log are bounded: a client in a loop must not push out everybody's history.
  base::SteadyTime refusals_since{};
  std::uint32_t refusals = 0;
  std::uint64_t refusals_left_out = 0;
};

// A name that a mitigation or a waiting request uses, or used.
struct Name {
  ports::NameRecord record;                     // the last good answer; no addresses when there was none yet
  bool stored = false;                          // the store has one for it
  base::WallTime stored_at{};                   // resolved_at of the stored one
  std::optional<base::SteadyTime> fresh_until;  // by its time to live
  std::optional<base::SteadyTime> asked_at;     // a look-up is under way
  std::set<Key> users;
  std::set<std::uint64_t> holds;
  Timers::Handle timer;  // the next look-up
};

// A request that waits for names.
struct Hold {
  std::uint64_t number = 0;
  PutMitigation put;
  std::vector<Origin> origins;  // the request and its repeats with other tokens
  std::set<std::string> waiting;
  Timers::Handle timer;
};
using HoldKey = std::tuple<base::Cuid, base::Mid, base::ClientId>;

struct Observer {
  std::uint64_t number = 0;
  base::SessionId session;
  base::Bytes token;
  base::ClientId client;
  base::Cuid cuid;
  std::optional<base::Mid> mid;  // absent: all of the cuid
  GetMitigation::Filter filter = GetMitigation::Filter::all;
  base::SteadyTime last_sent{};
  std::uint64_t filter_news_told = 0;
  bool dirty = false;
  std::vector<model::MitigationEntry> farewells;  // of mitigations that ended: shown once
  Timers::Handle timer;
};

// A session, as far as it matters here.
struct SessionState {
  base::ClientId client;
  std::optional<model::IpAddress> peer;
  bool quiet = false;
  bool silent = false;
  base::SteadyTime next_notification{};  // one for each 3 s in all (RFC 9132 4.4.2.1)
  std::set<std::uint64_t> observers;
};

}  // namespace dots::signal::server
