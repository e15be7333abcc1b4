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
#include "signal/server/events.h"
#include "signal/server/overlap.h"
#include "signal/server/timers.h"

namespace dots::signal::server {

struct Mitigation {
  // Its status is in_progress (running), client_withdrawn (active but terminating) or signal_loss (armed).
  ports::MitigationRecord record;
  Timers::Handle timer;  // the steady side of record.deadline; none when indefinite
  RulesReport::State rules = RulesReport::State::pending;
  std::string rules_reason;
  std::string audited_failure;  // a failure that is tried again and again is one line in the audit log
  model::DropCounters counters;

  bool armed() const { return record.status == model::MitigationStatus::signal_loss; }
  bool terminating() const { return record.status == model::MitigationStatus::client_withdrawn; }
  Key key() const { return {record.cuid, record.mid}; }
};

struct CuidState {
  ports::CuidRecord record;
  std::map<base::Mid, Mitigation> mitigations;
  ScopeIndex immediate;
  ScopeIndex armed;
  std::size_t active = 0;  // not armed: running or terminating

  ScopeIndex& index_of(const Mitigation& m) { return m.record.request.trigger_mitigation ? immediate : armed; }
};

// A configured client identity, as far as it has shown up.
struct ClientState {
  std::set<base::Cuid> cuids;
  std::size_t active = 0;
  bool told_mitigating = false;  // the last ClientMitigating
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
  bool dirty = false;
  std::vector<model::MitigationEntry> farewells;  // of mitigations that ended: shown once
  Timers::Handle timer;
};

// A session, as far as it matters here.
struct SessionState {
  base::ClientId client;
  bool silent = false;
  base::SteadyTime next_notification{};  // one for each 3 s in all (RFC 9132 4.4.2.1)
  std::set<std::uint64_t> observers;
};

}  // namespace dots::signal::server
