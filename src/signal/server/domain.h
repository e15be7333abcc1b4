// The mitigation machine of one client domain (RFC 9132 4.4), pure: step(event, now) -> effects.
//
// Owns all mitigations, cuids and observers of the domain. Conflicts in the sense of RFC 9132 arise only in here.
// Every effect of one step depends on the Persist effects of the same and of all earlier steps: the shell lets nothing
// leave before they are committed, and reloads the machine from the store when they are refused.
//
// Ownership: one machine for each domain, on the domain's owner shard. Threads: none of its own.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "base/time.h"
#include "policy/domain_policy.h"
#include "ports/store.h"
#include "signal/server/events.h"
#include "signal/server/planner.h"

namespace dots::signal::server {

// What a client has made an alias-name stand for on the data channel: injected, because signal and data do not know
// each other. Nothing for a name that the client has not made.
using AliasLookup = std::function<std::optional<model::Alias>(const base::ClientId& client, const base::Cuid& cuid,
                                                              const std::string& name)>;

// What else the data channel knows of clients, and does for them: injected like aliases. What it changes is committed
// together with the changes of the step that calls it, or is undone like them.
struct DataChannel {
  // Who has registered this cuid there.
  std::function<std::optional<base::ClientId>(const base::Cuid& cuid)> cuid_owner;
  // The registration ends, with all that it holds. What it was, in words; nothing without one.
  std::function<std::optional<std::string>(const base::Cuid& cuid, const std::string& actor, base::Now now)> release;
  // RFC 9133:
  // When a list of this client is enforced; nothing for a name that it has not made.
  std::function<std::optional<model::ActivationType>(const base::ClientId& client, const base::Cuid& cuid,
                                                     const std::string& acl)>
      activation;
  struct Failure {
    std::vector<model::AclActivation> failed;
    std::string reason;
  };
  // All of them or none; what it answers with could not be done.
  std::function<std::optional<Failure>(const base::Cuid& cuid, const std::vector<model::AclActivation>& acl_list,
                                       const std::string& why, base::Now now)>
      activate;
};

struct DomainLimits {
  std::size_t observers = 4096;  // of the domain
  std::size_t observers_per_session = 16;
  std::size_t held_requests = 256;  // waiting for a name
  base::Duration hold_for_name = std::chrono::seconds{2};
  std::size_t entries_per_answer = 1000;                      // the newest ones; lower mids are left out beyond it
  std::size_t names_remembered = 4096;                        // last-known-good answers in the store, of the domain
  base::Duration names_kept = std::chrono::hours{30 * 24};    // so long after their last use
  std::size_t credentials = 4096;                             // whose cuids are kept for their clients, of the domain
  base::Duration loss_threshold = std::chrono::seconds{450};  // no sign of life for so long: the signal is lost
  std::uint32_t refusals_audited_per_minute = 10;             // of one client; the rest is counted in the next line
  base::Duration approval_late = std::chrono::seconds{300};   // what waits longer for a person is said again
  bool filters_only_when_mitigating = false;  // acl-list needs a mitigation of the client that runs already
};

// A mitigation as operators see it (dotsctl list, show, explain).
struct MitigationView {
  ports::MitigationRecord record;
  std::optional<base::Duration> remaining;
  RulesReport::State rules = RulesReport::State::pending;
  std::string rules_reason;
  std::optional<model::RefusalReason> rules_why;  // when failed
  std::optional<std::string> service_used;
  std::vector<model::Prefix> actual;                // what is mitigated, when that differs from what was asked for
  std::optional<model::RefusalReason> not_started;  // see Plan
  std::string plan_story;                           // which policy, which back ends
  std::size_t observers = 0;
  model::DropCounters counters;
  std::optional<model::ConflictInformation> conflict;  // as its client is told
  std::vector<std::string> conflict_with;              // "client b, mid=7, running"; for operators only
  bool held_back = false;                              // its client is lost, and a conflict keeps it from starting
};

// Clients of a domain by the state of their signal, and what else the process adds up over its shards.
struct ClientCounts {
  std::size_t known = 0;           // whose signal is there, or was until lately
  std::size_t quiet = 0;           // of these: nothing heard for half of the loss threshold, and not judged as lost yet
  std::size_t approvals_late = 0;  // mitigations that have waited for a person for too long
  friend bool operator==(const ClientCounts&, const ClientCounts&) = default;
};

class Domain {
 public:
  // Without `aliases` no alias-name is known, without `data_channel` nobody is registered there.
  Domain(std::shared_ptr<const policy::DomainRules> rules, std::shared_ptr<const Planner> planner,
         const DomainLimits& limits, AliasLookup aliases = {}, DataChannel data_channel = {});
  ~Domain();
  Domain(Domain&&) noexcept;
  Domain& operator=(Domain&&) noexcept;

  // Takes over what the store holds of this domain: after a start and after a failed commit. Remaining lifetimes follow
  // `now` by the rule of MitigationRecord::deadline; nothing expires while now.wall is behind snapshot.last_commit.
  // Effects: DesiredRules for everything that lives, names to be resolved again. Observers are kept when
  // `keep_observers` (reload after a failed commit), else there are none. `unsaid`: whose DesiredRules went with the
  // failed commit. Its changes may be in the store all the same, and then neither memory nor store knows of a rule that
  // has to go.
  std::vector<Effect> load(const ports::Snapshot& snapshot, base::Now now, bool keep_observers,
                           const std::set<model::RuleOwner>& unsaid = {});

  std::vector<Effect> step(const Event& event, base::Now now);

  // When TimerFired is wanted next.
  std::optional<base::SteadyTime> next_deadline() const;

  // New policy after a reload of the configuration: active mitigations are checked again.
  std::vector<Effect> set_rules(std::shared_ptr<const policy::DomainRules> rules, base::Now now);

  // Another way to carry mitigations out, or other means. When not all are planned again, nothing but the loads of back
  // ends is new.
  std::vector<Effect> set_planner(std::shared_ptr<const Planner> planner, base::Now now, Replan which = Replan::all);

  const policy::DomainRules& rules() const;

  std::vector<MitigationView> view(base::Now now) const;
  ClientCounts clients() const;
  // Requests of this client that start when its signal is lost.
  bool has_armed_requests(const base::ClientId& client) const;
  // Whose this cuid is, by use or as the hash of a credential that was seen.
  std::optional<base::ClientId> cuid_owner(const base::Cuid& cuid) const;
  // Has it a mitigation that is active, terminating ones included? So long its filters of the type
  // activate-when-mitigating are in force (RFC 8783 7.2; docs/decisions/data-channel.md).
  bool mitigating(const base::Cuid& cuid) const;
  // Grows with each change of an answer of mitigating().
  std::uint64_t mitigating_version() const;
  // Its mitigations that run; until the next call that changes something.
  std::vector<const ports::MitigationRecord*> running(const base::Cuid& cuid) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dots::signal::server
