#include "agent/server/render_filters.h"

#include <algorithm>
#include <map>

#include "base/time_text.h"
#include "model/protocol.h"

namespace dots::agent::server {
namespace {

namespace json = boost::json;
using mitigation::FilterStory;
using mitigation::RuleState;

const char* state_text(RuleState state) {
  switch (state) {
    case RuleState::installed:
      return "installed";
    case RuleState::failed:
      return "failed";
    case RuleState::taken:
    case RuleState::pending:
      break;
  }
  return "pending";
}

std::string port_text(const model::PortMatch& match) {
  using Operator = model::PortMatch::Operator;
  const std::string port = std::to_string(match.port);
  switch (match.op) {
    case Operator::range:
      return port + "-" + std::to_string(match.upper);
    case Operator::lte:
      return "up to " + port;
    case Operator::gte:
      return "from " + port + " on";
    case Operator::neq:
      return "other than " + port;
    case Operator::eq:
      break;
  }
  return port;
}

template <class Header>
void add_ports(const Header& header, std::string& from, std::string& to) {
  if (header.source_port) from += " port " + port_text(*header.source_port);
  if (header.destination_port) to += " port " + port_text(*header.destination_port);
}

std::string rate_text(std::uint64_t hundredths) {
  const std::uint64_t rest = hundredths % 100;
  return std::to_string(hundredths / 100) + "." + (rest < 10 ? "0" : "") + std::to_string(rest);
}

bool touches(const model::FilterEntry& entry, const model::Prefix& prefix) {
  if (!entry.match.ip) return true;
  const model::IpMatch& ip = *entry.match.ip;
  if (ip.family != prefix.address.family) return false;
  if (!ip.source && !ip.destination) return true;
  return (ip.source && ip.source->masked().overlaps(prefix)) ||
         (ip.destination && ip.destination->masked().overlaps(prefix));
}

std::string state_of(const FilterListView& view) {
  using model::ActivationType;
  if (view.activation == ActivationType::deactivate) return "deactivated";
  if (view.activation == ActivationType::activate_when_mitigating && !view.mitigating) {
    return "waits for a mitigation of its client";
  }
  return view.in_force ? "in force" : "not enforced: its domain owns none of its destinations";
}

}  // namespace

std::string text_of(const model::FilterEntry& entry) {
  std::string text = entry.forwarding == model::Forwarding::drop ? "drop" : "accept";
  if (entry.rate_limit_hundredths) text = "limit to " + rate_text(*entry.rate_limit_hundredths) + " bytes/s";
  const model::FilterMatch& match = entry.match;
  std::string from, to;
  bool more = false;
  if (match.tcp) {
    text += " tcp";
    add_ports(*match.tcp, from, to);
    model::TcpMatch plain;
    plain.source_port = match.tcp->source_port;
    plain.destination_port = match.tcp->destination_port;
    more = more || plain != *match.tcp;
  } else if (match.udp) {
    text += " udp";
    add_ports(*match.udp, from, to);
    more = more || match.udp->length;
  } else if (match.icmp) {
    text += " icmp";
    if (match.icmp->type) text += " type " + std::to_string(*match.icmp->type);
    if (match.icmp->code) text += " code " + std::to_string(*match.icmp->code);
    more = more || match.icmp->rest_of_header;
  }
  if (match.ip) {
    const model::IpMatch& ip = *match.ip;
    model::IpMatch plain;
    plain.family = ip.family;
    plain.source = ip.source;
    plain.destination = ip.destination;
    plain.protocol = ip.protocol;
    more = more || plain != ip;
    if (ip.protocol) {
      const auto name = model::protocol_name(*ip.protocol);
      text += name.empty() ? " protocol " + std::to_string(*ip.protocol) : " " + std::string(name);
    } else if (!match.tcp && !match.udp && !match.icmp) {
      text += ip.family == model::Family::ipv4 ? " ipv4" : " ipv6";
    }
    if (ip.source) from = " from " + model::to_string(*ip.source) + from;
    if (ip.destination) to = " to " + model::to_string(*ip.destination) + to;
  }
  if (!from.empty() && from.rfind(" from", 0) != 0) from = " from" + from;
  if (!to.empty() && to.rfind(" to", 0) != 0) to = " to" + to;
  return text + from + to + (more ? ", and more" : "");
}

json::object render_filters(const std::vector<BackEndView>& back_ends, std::vector<FilterListView> lists,
                            const FilterQuery& query, base::Now now) {
  std::map<model::FilterListKey, std::vector<std::pair<const BackEndView*, const FilterStory*>>> stories;
  for (const auto& back_end : back_ends) {
    for (const auto& story : back_end.filters) stories[story.key].emplace_back(&back_end, &story);
  }
  std::erase_if(lists, [&](const FilterListView& view) {
    const bool about = !query.prefix || std::any_of(view.entries.begin(), view.entries.end(), [&](const auto& entry) {
      return touches(entry, query.prefix->masked());
    });
    return !about || (!query.domain.empty() && view.key.domain.value != query.domain) ||
           (!query.cuid.empty() && view.key.cuid.value != query.cuid);
  });
  std::stable_sort(lists.begin(), lists.end(),
                   [](const FilterListView& a, const FilterListView& b) { return a.key.domain < b.key.domain; });
  json::array out;
  for (const FilterListView& view : lists) {
    json::object one;
    one["domain"] = view.key.domain.value;
    one["client"] = view.client.value;
    one["cuid"] = view.key.cuid.value;
    one["name"] = view.key.list;
    one["activation-type"] = model::name_of(view.activation);
    one["state"] = state_of(view);
    one["expires-at"] = base::unix_seconds(now.wall + view.remaining);
    std::map<std::string, model::RuleCounters> counted;
    json::array at;
    for (const auto& [back_end, story] : stories[view.key]) {
      json::object told{{"mitigator", back_end->name}, {"state", state_text(story->state)}};
      if (!story->failure.empty()) told["failure"] = story->failure;
      if (story->installed_at) told["since"] = base::unix_seconds(*story->installed_at);
      at.push_back(std::move(told));
      for (const auto& [entry, counters] : story->counters) {
        counted[entry].packets += counters.packets;
        counted[entry].bytes += counters.bytes;
      }
    }
    one["mitigators"] = std::move(at);
    json::array entries;
    for (const model::FilterEntry& entry : view.entries) {
      json::object told{{"name", entry.name}, {"text", text_of(entry)}};
      if (std::count(view.left_out.begin(), view.left_out.end(), entry.name) > 0) told["left-out"] = true;
      if (const auto known = counted.find(entry.name); known != counted.end()) {
        told["packets"] = known->second.packets;
        told["bytes"] = known->second.bytes;
      }
      entries.push_back(std::move(told));
    }
    one["entries"] = std::move(entries);
    out.push_back(std::move(one));
  }
  return {{"filters", std::move(out)}};
}

json::object render_filter_story(const FilterStory& story, const BackEndView& back_end) {
  json::object out;
  out["mitigator"] = back_end.name;
  out["domain"] = story.key.domain.value;
  out["cuid"] = story.key.cuid.value;
  out["name"] = story.key.list;
  out["state"] = state_text(story.state);
  if (!story.failure.empty()) out["failure"] = story.failure;
  out["reason"] = story.reason;
  if (story.installed_at) out["since"] = base::unix_seconds(*story.installed_at);
  json::array entries;
  if (story.list) {
    for (const auto& rule : story.list->rules) {
      json::object told{{"name", rule.entry.name}, {"text", text_of(rule.entry)}};
      for (const auto& [entry, counters] : story.counters) {
        if (entry != rule.entry.name) continue;
        told["packets"] = counters.packets;
        told["bytes"] = counters.bytes;
      }
      entries.push_back(std::move(told));
    }
  }
  out["entries"] = std::move(entries);
  return out;
}

std::string filter_sentence(const FilterStory& story, const BackEndView& back_end) {
  std::string text = back_end.name;
  if (story.state == RuleState::installed) text += " enforces ";
  if (story.state == RuleState::pending) text += story.list ? " is about to enforce " : " is about to remove ";
  if (story.state == RuleState::failed) text += " could not enforce ";
  text += model::to_string(story.key);
  if (!story.failure.empty()) text += " (" + story.failure + ")";
  if (!back_end.drops_really) text += ", as a rehearsal";
  if (story.installed_at) text += ", since " + base::utc_text(*story.installed_at);
  return story.reason.empty() ? text : text + "; " + story.reason;
}

bool concerns(const FilterStory& story, const model::Prefix& prefix) {
  if (!story.list) return false;
  return std::any_of(story.list->rules.begin(), story.list->rules.end(), [&](const model::FilterRule& rule) {
    return std::any_of(rule.destinations.begin(), rule.destinations.end(),
                       [&](const model::Prefix& one) { return one.overlaps(prefix); });
  });
}

}  // namespace dots::agent::server
