#include "data/effective.h"

#include <algorithm>
#include <tuple>

namespace dots::data {
namespace {

using model::Prefix;

// A rank has 64 bits and moves in steps of 2^32; eight bits are left for lists that came in between.
constexpr int kRankShift = 24;
constexpr std::int64_t kMiddle = std::int64_t{1} << 31;
// Ranks of clients that have made and removed many millions of lists end here, one after the other.
constexpr std::int64_t kLast = (std::int64_t{1} << 32) - (std::int64_t{1} << 20);

// Without those that lie in another.
std::vector<Prefix> outermost(std::vector<Prefix> prefixes) {
  std::sort(prefixes.begin(), prefixes.end(), [](const Prefix& a, const Prefix& b) {
    return std::tie(a.length, a.address) < std::tie(b.length, b.address);
  });
  std::vector<Prefix> out;
  for (const Prefix& prefix : prefixes) {
    const bool inside = std::any_of(out.begin(), out.end(), [&](const Prefix& o) { return o.contains(prefix); });
    if (!inside) out.push_back(prefix);
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<Prefix> destinations_of(const model::FilterMatch& match, std::span<const Prefix> owned) {
  std::vector<Prefix> out;
  if (match.ip && match.ip->destination) {
    const Prefix wanted = match.ip->destination->masked();
    for (const Prefix& prefix : owned) {
      if (prefix.contains(wanted)) return {wanted};
      if (wanted.contains(prefix)) out.push_back(prefix.masked());
    }
    return outermost(std::move(out));
  }
  const std::optional<model::Family> family = match.ip     ? std::optional(match.ip->family)
                                              : match.icmp ? match.icmp->family
                                                           : std::nullopt;
  for (const Prefix& prefix : owned) {
    if (!family || prefix.address.family == *family) out.push_back(prefix.masked());
  }
  return outermost(std::move(out));
}

}  // namespace

std::vector<std::uint32_t> places_of(std::span<const std::int64_t> ranks) {
  std::vector<std::uint32_t> places;
  places.reserve(ranks.size());
  std::int64_t last = -1;
  for (const std::int64_t rank : ranks) {
    const std::int64_t own = std::clamp<std::int64_t>((rank >> kRankShift) + kMiddle, 0, kLast);
    last = std::max(last + 1, own);
    places.push_back(static_cast<std::uint32_t>(last));
  }
  return places;
}

model::FilterList list_of(const base::DomainId& domain, const EffectiveFilter& effective,
                          std::span<const Prefix> owned) {
  model::FilterList list{{domain, effective.cuid, effective.filter->name}, effective.place, {}};
  list.rules.reserve(effective.filter->entries.size());
  for (const model::FilterEntry& entry : effective.filter->entries) {
    auto destinations = destinations_of(entry.match, owned);
    if (!destinations.empty()) list.rules.push_back({entry, std::move(destinations)});
  }
  return list;
}

std::vector<model::FilterList> lists_of(const base::DomainId& domain, std::span<const EffectiveFilter> filters,
                                        std::span<const Prefix> owned) {
  std::vector<model::FilterList> lists;
  for (const EffectiveFilter& effective : filters) {
    model::FilterList list = list_of(domain, effective, owned);
    if (!list.rules.empty()) lists.push_back(std::move(list));
  }
  std::sort(lists.begin(), lists.end(), [](const model::FilterList& a, const model::FilterList& b) {
    return std::tie(a.place, a.key) < std::tie(b.place, b.key);
  });
  return lists;
}

std::optional<Decision> first_match(std::span<const model::FilterList> lists, const model::PacketHeader& packet) {
  for (const model::FilterList& list : lists) {
    for (const model::FilterRule& rule : list.rules) {
      const bool inside = std::any_of(rule.destinations.begin(), rule.destinations.end(),
                                      [&](const Prefix& prefix) { return prefix.contains(packet.destination); });
      if (!inside) continue;
      if (model::matches(rule.entry.match, packet)) return Decision{&list, &rule};
    }
  }
  return std::nullopt;
}

Fate fate_of(const model::FilterRule& rule, bool over) {
  if (rule.entry.forwarding == model::Forwarding::drop) return Fate::dropped;
  if (!rule.entry.rate_limit_hundredths) return Fate::passes;
  return over ? Fate::dropped : Fate::goes_on;
}

}  // namespace dots::data
