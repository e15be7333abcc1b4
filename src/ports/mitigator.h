// The Mitigator port: a back end that can install rules, list what it really has, and count.
//
// A mitigation is never "sent to" a mitigator: the reconciler (src/mitigation) compares desired with installed and
// calls apply with the difference. One suite, tests/contract/mitigator_contract.h, runs on every implementation.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "model/filter_list.h"
#include "model/ip.h"
#include "model/refusal_reason.h"
#include "model/rule.h"

namespace dots::ports {

// What a back end can do; the planner and the operator's status page ask.
struct MitigatorAbilities {
  std::string name;          // "nftables", "dry-run"
  bool counts = false;       // gives RuleCounters; otherwise counters are unknown, never 0
  bool limits = false;       // supports RuleAction::limit
  bool drops_really = true;  // false for dry-run
  bool filters = false;      // takes lists of filters
  bool scoped = true;        // matches protocols and ports; false: takes RuleAction::blackhole alone (RTBH)
  bool exempts = true;       // exempt() lets the DOTS signal pass before all drops
  bool confirms = false;     // what it took may not be in force yet: list() tells
  bool explains = false;     // passes RuleChange::owners on to people or programs
};

// Why a back end did not do what it was asked to. The message is for people; the reason, where it has one, travels to
// the client (docs/extensions.md).
struct MitigatorFault {
  std::string message;
  std::optional<model::RefusalReason> reason = std::nullopt;
};

using Applied = base::Result<void, MitigatorFault>;

// Who wants a rule, why, and until when.
struct RuleNote {
  model::RuleOwner owner;
  std::string reason;
  std::optional<base::WallTime> until;
};

struct RuleChange {
  enum class Kind : std::uint8_t { install, remove };
  Kind kind = Kind::install;
  model::Rule rule;
  std::vector<RuleNote> owners;  // only where abilities().explains; none when nobody wants it any more
};

// Puts a list of filters in place of what stands there with the same key, or removes it.
struct FilterChange {
  model::FilterListKey key;
  std::optional<model::FilterList> list;  // nothing: remove
};

struct InstalledFilterList {
  model::FilterListKey key;
  std::string digest;                               // model::digest_of() when it was installed
  std::vector<model::FilterRuleCounters> counters;  // of every entry, in order; none where not abilities().counts
  std::string not_in_force = {};                    // as of a rule
};

struct InstalledRule {
  model::Rule rule;
  model::RuleCounters counters;
  std::string not_in_force = {};  // empty: in force; else why not yet: "BGP peer 192.0.2.1 is not established"
};

// What a back end needs to have effect: its BGP peers, the receiver of its messages.
struct BackEndLink {
  std::string name;  // "BGP peer 192.0.2.1"
  bool up = false;
  std::string state;  // "established", "idle: connection refused"
  friend bool operator==(const BackEndLink&, const BackEndLink&) = default;
};

// A DOTS peer whose signal must never be cut: stands, rate-limited, before all drops. Either end may be the client.
struct SignalExemption {
  model::IpAddress server;  // the address that the DOTS server answers on
  std::uint16_t server_port = 4646;
  model::Prefix peer;  // live or provisioned peer
  friend auto operator<=>(const SignalExemption&, const SignalExemption&) = default;
};

// Threads: one thread at a time, its own (adapters/mitigators/runner.h). Calls block for at most the configured
// time-out and then fail; a failed call leaves nothing half done that list() would not show.
class Mitigator {
 public:
  virtual ~Mitigator() = default;

  virtual MitigatorAbilities abilities() const = 0;
  // Prepares the back end (tables, sets) without touching anything that is not ours. Called again after a failure.
  virtual base::Result<void> open() = 0;
  // All changes or none. Installing a rule that is there and removing one that is not are no errors. A rule whose match
  // is the same but whose action differs is replaced.
  virtual Applied apply(const std::vector<RuleChange>& changes) = 0;
  // All changes or none; each list is replaced in one step, between two packets, and no rule of apply() is away
  // meanwhile. A list whose digest stands there already stays as it is, with its counters. Refused with a reason when a
  // list has a field that the back end cannot match. Only where abilities().filters.
  virtual Applied apply_filters(const std::vector<FilterChange>& changes);
  // Replaces the whole exemption list.
  virtual base::Result<void> exempt(const std::vector<SignalExemption>& exemptions) = 0;
  // What is really installed in our own table, with counters; rules that we cannot read back as ours are reported in
  // `foreign` as text, so that the reconciler can have them removed and say so.
  struct Listing {
    std::vector<InstalledRule> rules;
    std::vector<InstalledFilterList> filters;
    std::vector<std::string> foreign;
    std::vector<BackEndLink> links;
  };
  virtual base::Result<Listing> list() = 0;
  // Removes the foreign objects inside our own table and says what they were.
  virtual base::Result<std::vector<std::string>> remove_foreign() { return std::vector<std::string>{}; }
  // Removes everything of ours, foreign objects inside our table included. open() again before the next change.
  virtual base::Result<void> clear() = 0;
};

}  // namespace dots::ports
