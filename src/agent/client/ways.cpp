#include "agent/client/ways.h"

#include <algorithm>
#include <utility>

namespace dots::agent::client {

namespace {
constexpr std::size_t kMostOutcomes = 64;
}  // namespace

std::string to_string(const Way& way) {
  return model::to_string(way.server) + (way.transport == model::Transport::tcp ? " over TCP" : "");
}

std::vector<Way> ways_to(const std::vector<model::SocketAddress>& addresses, bool udp, bool tcp) {
  std::vector<Way> ways;
  const auto add = [&](model::Transport transport, model::Family family) {
    for (const auto& address : addresses) {
      if (address.ip.family == family) ways.push_back({transport, address});
    }
  };
  for (const auto transport : {model::Transport::udp, model::Transport::tcp}) {
    if (transport == model::Transport::udp ? !udp : !tcp) continue;
    add(transport, model::Family::ipv6);
    add(transport, model::Family::ipv4);
  }
  return ways;
}

void WayMemory::worked(const Way& way, base::SteadyTime now) {
  if (outcomes_.size() < kMostOutcomes || outcomes_.contains(way)) outcomes_[way] = {true, now, {}};
}

void WayMemory::failed(const Way& way, std::string why, base::SteadyTime now) {
  if (outcomes_.size() < kMostOutcomes || outcomes_.contains(way)) outcomes_[way] = {false, now, std::move(why)};
}

std::vector<Way> WayMemory::worth_trying(std::vector<Way> ways, base::SteadyTime now) const {
  const auto recent = [&](const Way& way, bool worked) {
    const auto found = outcomes_.find(way);
    return found != outcomes_.end() && found->second.worked == worked && now - found->second.at < kLife;
  };
  if (std::any_of(ways.begin(), ways.end(), [&](const Way& way) { return recent(way, true); })) {
    std::erase_if(ways, [&](const Way& way) { return recent(way, false); });
  }
  return ways;
}

std::string WayMemory::why(const std::vector<Way>& ways, const Way& way) const {
  std::string text;
  for (const Way& other : ways) {
    if (other == way) break;
    const auto found = outcomes_.find(other);
    if (found == outcomes_.end() || found->second.worked) continue;
    text += (text.empty() ? "" : "; ") + to_string(other) + ": " + found->second.why;
  }
  return text;
}

}  // namespace dots::agent::client
