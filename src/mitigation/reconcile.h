// Desired versus installed: keeps what every mitigation wants, learns what a back end has, says what to change. Pure.
//
// A rule nobody can explain is removed; a rule shared by two mitigations stays until the last one ends; new rules are
// in before old ones go (one batch). One reconciler for each back end.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/time.h"
#include "model/rule.h"
#include "ports/mitigator.h"

namespace dots::mitigation {

// Taken: the back end has it, and says that it is not in force yet.
enum class RuleState : std::uint8_t { pending, taken, installed, failed };

// One rule with its whole story (dotsctl explain).
struct RuleStory {
  model::Rule rule;
  RuleState state = RuleState::pending;
  std::string failure;  // when failed; when taken: what is missing until it is in force
  std::optional<base::WallTime> installed_at;
  bool in_back_end = false;  // as it is, or with another action until the change is in
  model::RuleCounters counters;
  struct Owner {
    model::RuleOwner owner;
    std::string reason;
    std::optional<base::WallTime> until;
    base::WallTime since{};
  };
  std::vector<Owner> owners;
};

struct OwnerReport {
  model::RuleOwner owner;
  RuleState state = RuleState::pending;
  std::string reason;                                      // when failed or taken
  std::optional<model::RefusalReason> why = std::nullopt;  // when failed, and the back end has told
  std::optional<base::SteadyTime> asked_at = {};           // of the want, once, when everything is in force
  bool away = false;                                       // when failed: the back end is away, and never had them all
};
struct OwnerCounters {
  model::RuleOwner owner;
  model::DropCounters counters;
};

// When two owners want the same match with different actions, the strictest wins: blackhole, drop, lower limit.
class Reconciler {
 public:
  struct Want {
    model::RuleOwner owner;
    std::vector<model::Rule> rules;
    std::string reason;
    std::optional<base::WallTime> until;
    std::optional<base::SteadyTime> asked_at = {};  // when somebody asked for it, to be told how long it took
  };
  struct Difference {
    std::vector<model::Rule> install;  // also replaces a rule with the same match
    std::vector<model::Rule> remove;
    std::uint64_t version = 0;  // hand back with applied()
    bool empty() const { return install.empty() && remove.empty(); }
  };

  Reconciler();
  ~Reconciler();
  Reconciler(Reconciler&&) noexcept;
  Reconciler& operator=(Reconciler&&) noexcept;

  // Replaces what these owners want; an empty rule list forgets the owner.
  void want(const std::vector<Want>& wants, base::Now now);

  // What the back end really has; everything else is taken as not there. Rules that nobody wants are removed next.
  void learned(const std::vector<model::Rule>& installed, base::Now now);
  // The back end died or lost its state: nothing is known until learned() is called again. A batch that is out is void.
  void forget_installed();

  // The next batch, at most `limit` changes. Removals wait until no install is left for a later batch, so new rules are
  // in before old ones go, also across batches; the rules of one owner share a batch when they fit into one. Empty when
  // a batch is out, when nothing is known of the back end, or when all is as desired.
  Difference next(std::size_t limit);
  // next() would give something, were no batch out.
  bool due() const;
  // The back end's word on the batch `version`; no fault: it has taken it. After a failure the batch is split until the
  // bad rule is alone; the bad rule is marked failed with the fault and tried again after `retry_after`.
  void applied(std::uint64_t version, const std::optional<ports::MitigatorFault>& fault, base::Now now,
               base::Duration retry_after);
  // Never more rules than this are installed; those beyond it fail for want of room until others go. 0: no limit.
  void limit_rules(std::size_t most);
  // For a back end that confirms (MitigatorAbilities): what it has taken is in force when confirmed() has said so.
  void expect_confirmation(bool on);
  // What the back end listed when version() was `as_of`.
  void confirmed(const std::vector<ports::InstalledRule>& seen, std::uint64_t as_of);
  // Who wants the rule with this match; none when nobody does.
  std::vector<ports::RuleNote> notes(const model::RuleMatch& match) const;
  // When wake() has work to do: a failed rule is due for its next try.
  std::optional<base::SteadyTime> next_deadline() const;
  void wake(base::Now now);

  // Owners whose state changed since the last call.
  std::vector<OwnerReport> reports();
  // The next reports() tells the state of this owner again: somebody may have forgotten it.
  void report_again(const model::RuleOwner& owner);
  // The next reports() tells every owner's state again.
  void report_all();
  // While on, rules that nobody wants stay: their owners may be still to come. On is for the time after a start.
  void keep_unexplained(bool on);
  // Grows with each batch and each learned(); says how old a list of the back end is.
  std::uint64_t version() const;
  // Counters as the back end listed them when version() was `as_of`: rules that were installed since are left out, the
  // list may still tell of their predecessors. An owner's counters are the sum of its rules since the owner wanted
  // them, never falling when a rule is reinstalled; rates are averages since the trigger, from five-minute buckets (RFC
  // 9132 4.4.2).
  void counted(const std::vector<std::pair<model::Rule, model::RuleCounters>>& counters, std::uint64_t as_of,
               base::Now now);
  std::vector<OwnerCounters> owner_counters(base::Now now) const;

  // Everything that was counted, each rule once.
  model::RuleCounters dropped() const;

  std::vector<RuleStory> stories() const;
  // False when the back end has something else than is believed: somebody else was there.
  bool agrees_with(const std::vector<model::Rule>& installed) const;
  bool quiescent() const;     // known, nothing to change, no batch out, no failed rule
  std::size_t rules() const;  // wanted or installed
  std::size_t owners() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dots::mitigation
