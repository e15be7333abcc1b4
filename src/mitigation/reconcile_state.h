// What the reconciler keeps. Private to src/mitigation.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "mitigation/reconcile.h"
#include "mitigation/tally.h"

namespace dots::mitigation {

using model::RuleMatch;
using model::RuleOwner;

// All that is known about one match: who wants what there, what the back end has, what went wrong.
struct Entry {
  std::map<RuleOwner, model::Rule> wanters;
  std::optional<model::Rule> desired;       // the strictest wish
  std::optional<model::Rule> installed;     // meaningful while the back end is known
  std::string failure;                      // set: the last try failed
  std::optional<model::RefusalReason> why;  // of the failure
  std::string not_in_force;                 // what is missing, by the word of a back end that confirms
  std::optional<base::SteadyTime> retry_at;
  std::optional<base::WallTime> installed_at;
  RuleTally tally;
  std::uint64_t version = 0;  // of the reconciler when it was installed

  bool settled() const { return desired == installed; }
};

struct Owner {
  std::string reason;
  std::optional<base::WallTime> until;
  base::Now since{};
  std::optional<base::SteadyTime> asked_at;            // until all is in force
  std::map<RuleMatch, model::RuleCounters> baselines;  // of the rules it wants: the tally when it began to
  OwnerTally tally;
  std::optional<OwnerReport> reported;  // the owner field is left empty
};

struct Reconciler::State {
  std::map<RuleMatch, Entry> entries;
  std::map<RuleOwner, Owner> owners;
  // Matches that are not settled: to install or replace, to remove, or failed and waiting for the next try.
  std::set<RuleMatch> to_install;
  std::set<RuleMatch> to_remove;
  std::set<std::pair<base::SteadyTime, RuleMatch>> waiting;
  std::set<RuleMatch> crowded;               // to install, and there is no room
  std::set<RuleOwner> touched;               // owners whose state may have changed
  std::deque<std::vector<RuleMatch>> split;  // parts of failed batches, tried before anything else
  std::size_t most = 0;                      // rules that may be installed; 0: no limit
  bool known = false;
  bool keep_unexplained = false;
  bool confirms = false;
  std::uint64_t version = 0;
  std::size_t installed = 0;  // entries that have something installed
  model::RuleCounters dropped;
  std::optional<Difference> out;

  void wish(const Want& want, base::Now now);
  void drop_wish(const RuleOwner& id, Owner& owner, const RuleMatch& match);
  void has_installed(const RuleMatch& match, const std::optional<model::Rule>& rule, base::WallTime now);
  void failed(const RuleMatch& match, const ports::MitigatorFault& fault, base::SteadyTime retry_at);
  void wake(base::SteadyTime now);
  // Decides anew what of `to_install` and `crowded` has room: all of an owner's rules or none of them.
  void share_room();
  // Recomputes what is desired for a match and files it; erases an entry that nobody needs.
  void settle(const RuleMatch& match);
  void unfile(const RuleMatch& match, Entry& entry);

  std::vector<RuleMatch> choose(std::size_t limit) const;
  Difference collect(const std::vector<RuleMatch>& matches) const;
  OwnerReport state_of(const RuleOwner& id, const Owner& owner) const;
  void count(Owner& owner, base::Now now) const;
};

}  // namespace dots::mitigation
