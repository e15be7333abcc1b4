#include "agent/server/back_ends.h"

#include <algorithm>
#include <utility>

namespace dots::agent::server {
namespace {

using mitigation::RuleState;
using signal::server::CountersReport;
using signal::server::RulesReport;

std::optional<std::uint64_t> sum(std::optional<std::uint64_t> a, std::optional<std::uint64_t> b) {
  if (!a) return b;
  if (!b) return a;
  return *a + *b;
}

}  // namespace

RulesReport BackEnds::combined(const model::RuleOwner& id, const Owner& owner) const {
  RulesReport combined{id.cuid, id.mid, RulesReport::State::installed, {}};
  const auto failed = [&] { return combined.state == RulesReport::State::failed; };
  for (const std::size_t index : owner.uses) {
    const auto found = owner.reports.find(index);
    const mitigation::OwnerReport one = found == owner.reports.end() ? mitigation::OwnerReport{} : found->second;
    if (one.state == RuleState::installed) continue;
    if (one.state == RuleState::failed) {
      if (one.away || (one.why && model::exceeds_capability(*one.why))) combined.without.insert(names_[index]);
      if (failed()) continue;
      combined.state = RulesReport::State::failed;
      combined.reason = one.reason;
      combined.why = one.why;
    } else if (!failed()) {
      combined.state = RulesReport::State::pending;
      if (combined.reason.empty()) combined.reason = one.reason;
    }
  }
  return combined;
}

std::optional<RulesReport> BackEnds::no_room(const model::RuleOwner& id, std::size_t needs,
                                             const std::vector<signal::server::Plan::Part>& parts) const {
  const auto found = owners_.find(id);
  const std::size_t has = found == owners_.end() ? 0 : found->second.rules;
  if (most_rules_ == 0 || needs <= has || rules_ - has + needs <= most_rules_) return std::nullopt;
  RulesReport report{id.cuid, id.mid, RulesReport::State::failed, {}, model::RefusalReason::capacity};
  report.reason = "no room: " + std::to_string(rules_ - has) + " of " + std::to_string(most_rules_) +
                  " rules of all domains are used, and this needs " + std::to_string(needs);
  for (const auto& part : parts) report.without.insert(part.back_end);
  report.withheld = true;
  return report;
}

BackEnds::Route BackEnds::want(const model::RuleOwner& id, std::vector<signal::server::Plan::Part>& parts) {
  Route route;
  std::size_t needs = 0;
  for (const auto& part : parts) needs += part.rules.size();
  const std::optional<RulesReport> refused = no_room(id, needs, parts);
  if (refused) {
    parts.clear();
    needs = 0;
  }
  std::set<std::size_t> uses;
  for (const auto& part : parts) {
    const auto at = std::find(names_.begin(), names_.end(), part.back_end);
    if (at != names_.end()) uses.insert(static_cast<std::size_t>(at - names_.begin()));
  }
  const auto found = owners_.find(id);
  std::set<std::size_t> hear = uses;
  if (found != owners_.end()) hear.insert(found->second.uses.begin(), found->second.uses.end());
  route.hear.assign(hear.begin(), hear.end());
  if (found != owners_.end()) rules_ -= found->second.rules;
  if (uses.empty() && found != owners_.end()) owners_.erase(found);
  if (uses.empty() && !refused) return route;
  Owner& owner = owners_[id];
  rules_ += needs;
  owner.rules = needs;
  if (refused) {
    owner.told = *refused;
    owner.told_once = true;
    route.told = ToDomain{id.domain, owner.told};
    return route;
  }
  owner.uses = std::move(uses);
  std::erase_if(owner.reports, [&](const auto& one) { return !owner.uses.contains(one.first); });
  if (!owner.told_once) return route;
  owner.told = combined(id, owner);
  route.told = ToDomain{id.domain, owner.told};
  return route;
}

std::vector<ToDomain> BackEnds::reported(std::size_t back_end, const std::vector<mitigation::OwnerReport>& reports) {
  std::vector<ToDomain> out;
  for (const auto& id : std::exchange(undelivered_, {})) {
    const auto it = owners_.find(id);
    if (it != owners_.end() && it->second.told_once) out.push_back({id.domain, it->second.told});
  }
  for (const auto& report : reports) {
    const auto it = owners_.find(report.owner);
    // It has found another way meanwhile, or is over.
    if (it == owners_.end() || !it->second.uses.contains(back_end)) continue;
    Owner& owner = it->second;
    owner.reports[back_end] = report;
    const RulesReport now = combined(report.owner, owner);
    const RulesReport& told = owner.told;
    if (owner.told_once && told.state == now.state && told.reason == now.reason && told.why == now.why &&
        told.without == now.without)
      continue;
    owner.told = now;
    owner.told_once = true;
    out.push_back({report.owner.domain, now});
  }
  return out;
}

std::optional<signal::server::BackEndsReport> BackEnds::able(std::size_t back_end, bool able,
                                                             const std::string& reason) {
  const bool any_before = unable_.size() < names_.size();
  if (able) {
    unable_.erase(back_end);
  } else {
    unable_[back_end] = reason;
  }
  const bool any = unable_.size() < names_.size();
  if (any == any_before) return std::nullopt;
  return signal::server::BackEndsReport{any, any ? std::string{} : reason};
}

CountersReport BackEnds::sum_of(const model::RuleOwner& id, const Owner& owner) {
  CountersReport total{id.cuid, id.mid, {}};
  for (const auto& [index, one] : owner.counters) {
    total.counters.bytes_dropped = sum(total.counters.bytes_dropped, one.bytes_dropped);
    total.counters.bps_dropped = sum(total.counters.bps_dropped, one.bps_dropped);
    total.counters.pkts_dropped = sum(total.counters.pkts_dropped, one.pkts_dropped);
    total.counters.pps_dropped = sum(total.counters.pps_dropped, one.pps_dropped);
  }
  return total;
}

std::vector<ToDomain> BackEnds::counted(std::size_t back_end, const std::vector<mitigation::OwnerCounters>& counters) {
  std::vector<ToDomain> out;
  for (const auto& counter : counters) {
    const auto it = owners_.find(counter.owner);
    if (it == owners_.end()) continue;
    model::DropCounters& mine = it->second.counters[back_end];
    if (mine == counter.counters) continue;
    mine = counter.counters;
    out.push_back({counter.owner.domain, sum_of(counter.owner, it->second)});
  }
  return out;
}

void Exemptions::opened(const model::Path& path) {
  const ports::SignalExemption one{path.local.ip, path.local.port, model::host_prefix(path.peer.ip)};
  if (live_[one]++ == 0) changed_ = true;
}

void Exemptions::closed(const model::Path& path) {
  const auto it = live_.find({path.local.ip, path.local.port, model::host_prefix(path.peer.ip)});
  if (it == live_.end() || --it->second > 0) return;
  live_.erase(it);
  changed_ = true;
}

std::vector<ports::SignalExemption> Exemptions::list() {
  changed_ = false;
  std::vector<ports::SignalExemption> out;
  for (const auto& [one, sessions] : live_) {
    if (out.size() >= most_) break;
    out.push_back(one);
  }
  // Everybody, to each address that the server answers on: configured ones (an unspecified one stands for every address
  // of the machine), and those that live peers wrote to.
  std::set<ports::SignalExemption> shared;
  const auto add = [&](const model::IpAddress& ip, std::uint16_t port) {
    model::Prefix everybody;
    everybody.address.family = ip.family;
    shared.insert({ip, port, everybody});
  };
  for (const auto& address : listen_) add(address.ip, address.port);
  for (const auto& [one, sessions] : live_) add(one.server, one.server_port);
  out.insert(out.end(), shared.begin(), shared.end());
  return out;
}

}  // namespace dots::agent::server
