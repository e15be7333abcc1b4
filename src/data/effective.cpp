#include "data/effective.h"

#include <algorithm>

namespace dots::data {

std::vector<EffectiveEntry> effective_entries(std::span<const EffectiveFilter> filters,
                                              std::span<const model::Prefix> owned) {
  std::vector<EffectiveEntry> entries;
  for (const EffectiveFilter& effective : filters) {
    for (const model::FilterEntry& entry : effective.filter->entries) {
      EffectiveEntry out{effective.cuid, effective.filter->name, entry, {}};
      const model::FilterMatch& match = entry.match;
      if (match.ip && match.ip->destination) {
        out.destinations.push_back(*match.ip->destination);
      } else {
        const std::optional<model::Family> family = match.ip     ? std::optional(match.ip->family)
                                                    : match.icmp ? match.icmp->family
                                                                 : std::nullopt;
        for (const model::Prefix& prefix : owned) {
          if (!family || prefix.address.family == *family) out.destinations.push_back(prefix.masked());
        }
      }
      if (!out.destinations.empty()) entries.push_back(std::move(out));
    }
  }
  return entries;
}

const EffectiveEntry* first_match(std::span<const EffectiveEntry> entries, const model::PacketHeader& packet) {
  for (const EffectiveEntry& entry : entries) {
    const bool inside = std::any_of(entry.destinations.begin(), entry.destinations.end(),
                                    [&](const model::Prefix& prefix) { return prefix.contains(packet.destination); });
    if (inside && model::matches(entry.entry.match, packet)) return &entry;
  }
  return nullptr;
}

}  // namespace dots::data
