#include "agent/server/back_ends.h"

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

std::vector<ToDomain> BackEnds::reported(std::size_t back_end, const std::vector<mitigation::OwnerReport>& reports) {
  std::vector<ToDomain> out;
  for (const auto& owner : std::exchange(undelivered_, {})) {
    if (auto told = wanted(owner)) out.push_back(std::move(*told));
  }
  for (const auto& report : reports) {
    Owner& owner = owners_[report.owner];
    owner.reports[back_end] = report;
    RulesReport combined{report.owner.cuid, report.owner.mid, RulesReport::State::installed, {}};
    if (owner.reports.size() < back_ends_) combined.state = RulesReport::State::pending;
    for (const auto& [index, one] : owner.reports) {
      if (one.state == RuleState::failed) {
        combined.state = RulesReport::State::failed;
        combined.reason = one.reason;
        break;
      }
      if (one.state == RuleState::pending) combined.state = RulesReport::State::pending;
    }
    if (owner.told_once && owner.told.state == combined.state && owner.told.reason == combined.reason) continue;
    owner.told = combined;
    owner.told_once = true;
    out.push_back({report.owner.domain, combined});
  }
  return out;
}

std::optional<signal::server::BackEndsReport> BackEnds::able(std::size_t back_end, bool able,
                                                             const std::string& reason) {
  const bool any_before = unable_.size() < back_ends_;
  if (able) {
    unable_.erase(back_end);
  } else {
    unable_[back_end] = reason;
  }
  const bool any = unable_.size() < back_ends_;
  if (any == any_before) return std::nullopt;
  return signal::server::BackEndsReport{any, any ? std::string{} : reason};
}

std::vector<ToDomain> BackEnds::counted(std::size_t back_end, const std::vector<mitigation::OwnerCounters>& counters) {
  std::vector<ToDomain> out;
  for (const auto& counter : counters) {
    Owner& owner = owners_[counter.owner];
    model::DropCounters& mine = owner.counters[back_end];
    if (mine == counter.counters) continue;
    mine = counter.counters;
    CountersReport total{counter.owner.cuid, counter.owner.mid, {}};
    for (const auto& [index, one] : owner.counters) {
      total.counters.bytes_dropped = sum(total.counters.bytes_dropped, one.bytes_dropped);
      total.counters.bps_dropped = sum(total.counters.bps_dropped, one.bps_dropped);
      total.counters.pkts_dropped = sum(total.counters.pkts_dropped, one.pkts_dropped);
      total.counters.pps_dropped = sum(total.counters.pps_dropped, one.pps_dropped);
    }
    out.push_back({counter.owner.domain, total});
  }
  return out;
}

std::optional<ToDomain> BackEnds::wanted(const model::RuleOwner& owner) const {
  const auto it = owners_.find(owner);
  if (it == owners_.end() || !it->second.told_once) return std::nullopt;
  return ToDomain{owner.domain, it->second.told};
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
