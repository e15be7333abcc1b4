#include "data/effective.h"

#include <algorithm>
#include <map>
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
  // A prefix stands before those that lie in it, and nothing else between them.
  std::sort(prefixes.begin(), prefixes.end(), [](const Prefix& a, const Prefix& b) {
    return std::tie(a.address, a.length) < std::tie(b.address, b.length);
  });
  std::vector<Prefix> out;
  for (const Prefix& prefix : prefixes) {
    if (out.empty() || !out.back().contains(prefix)) out.push_back(prefix);
  }
  std::sort(out.begin(), out.end());
  return out;
}

// What a domain owns of each family, found once for all entries of a list.
class Land {
 public:
  explicit Land(std::span<const Prefix> owned) : owned_(owned) {}
  const std::vector<Prefix>& of(std::optional<model::Family> family) {
    auto& known = family ? of_family_[*family] : all_;
    if (!known) {
      std::vector<Prefix> prefixes;
      for (const Prefix& prefix : owned_) {
        if (!family || prefix.address.family == *family) prefixes.push_back(prefix.masked());
      }
      known = outermost(std::move(prefixes));
    }
    return *known;
  }

 private:
  std::span<const Prefix> owned_;
  std::optional<std::vector<Prefix>> all_;
  std::map<model::Family, std::optional<std::vector<Prefix>>> of_family_;
};

std::vector<Prefix> destinations_of(const model::FilterMatch& match, std::span<const Prefix> owned, Land& land) {
  if (match.ip && match.ip->destination) {
    std::vector<Prefix> out;
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
  return land.of(family);
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
  Land land(owned);
  for (const model::FilterEntry& entry : effective.filter->entries) {
    auto destinations = destinations_of(entry.match, owned, land);
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
