// What several back ends say about the same mitigation, made one; and which DOTS peers must never be cut. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/server/shard.h"
#include "mitigation/reconcile.h"
#include "model/peer.h"
#include "ports/mitigator.h"

namespace dots::agent::server {

// Combines the reports of the back ends that a mitigation uses: failed when one failed, pending while one is pending or
// has only taken its rules, else installed. Counters are the sum over the back ends that count; with none of them they
// stay unknown.
class BackEnds {
 public:
  explicit BackEnds(std::vector<std::string> names) : names_(std::move(names)) {}

  // What an owner wants from now on, before the back ends are told: which of them have to hear it, those included that
  // it has used and uses no more. What is known of the state of its rules is told once more: a domain that was read
  // from the store anew does not know it, and for rules that stay the back ends have no news.
  struct Route {
    std::vector<std::size_t> hear;
    std::optional<ToDomain> told;
  };
  // Where limit_rules() leaves no room the parts are emptied, and that is told.
  Route want(const model::RuleOwner& owner, std::vector<signal::server::Plan::Part>& parts);
  // So many rules are wanted at most, of all owners at all back ends, whoever plans at the same time. An owner that
  // wants no more than it has is never refused. 0: no limit.
  void limit_rules(std::size_t most) { most_rules_ = most; }

  // The events for the owners' domains; only where the combined state changed.
  std::vector<ToDomain> reported(std::size_t back_end, const std::vector<mitigation::OwnerReport>& reports);
  std::vector<ToDomain> counted(std::size_t back_end, const std::vector<mitigation::OwnerCounters>& counters);
  // A back end is able to install rules, or is not. The word for all domains, when that changed whether any is.
  std::optional<signal::server::BackEndsReport> able(std::size_t back_end, bool able, const std::string& reason);
  // A report found no room in the queue of its domain: it comes again with the next call of reported().
  void undelivered(const model::RuleOwner& owner) { undelivered_.insert(owner); }
  std::size_t size() const { return owners_.size(); }

 private:
  struct Owner {
    std::set<std::size_t> uses;
    std::size_t rules = 0;
    std::map<std::size_t, mitigation::OwnerReport> reports;
    std::map<std::size_t, model::DropCounters> counters;
    signal::server::RulesReport told;
    bool told_once = false;
  };
  signal::server::RulesReport combined(const model::RuleOwner& id, const Owner& owner) const;
  static signal::server::CountersReport sum_of(const model::RuleOwner& id, const Owner& owner);

  // What `parts` want has no room: it wants nothing instead.
  std::optional<signal::server::RulesReport> no_room(const model::RuleOwner& id, std::size_t needs,
                                                     const std::vector<signal::server::Plan::Part>& parts) const;

  std::vector<std::string> names_;
  std::map<model::RuleOwner, Owner> owners_;
  std::map<std::size_t, std::string> unable_;  // with the reason
  std::set<model::RuleOwner> undelivered_;
  std::size_t most_rules_ = 0;
  std::size_t rules_ = 0;  // of all owners
};

// The exemptions that stand before all drops (ARCHITECTURE idea 4): live peers one by one up to `most`, and for every
// address that the server answers on a shared one, rate-limited, through which new sessions come in.
class Exemptions {
 public:
  Exemptions(std::vector<model::SocketAddress> listen, std::size_t most) : listen_(std::move(listen)), most_(most) {}

  void opened(const model::Path& path);
  void closed(const model::Path& path);
  // Something changed since the last call of list().
  bool changed() const { return changed_; }
  std::vector<ports::SignalExemption> list();

 private:
  std::vector<model::SocketAddress> listen_;
  std::size_t most_;
  std::map<ports::SignalExemption, std::uint32_t> live_;  // with the number of sessions
  bool changed_ = true;
};

}  // namespace dots::agent::server
