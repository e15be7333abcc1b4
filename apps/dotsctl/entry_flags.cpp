// An alias, or a filter of one entry, from the command line.
#include <boost/json.hpp>

#include "dotsctl/commands.h"
#include "model/ip.h"

namespace dots::dotsctl {
namespace {

namespace json = boost::json;

std::pair<std::uint16_t, std::uint16_t> ports_of(const std::string& range) {
  const auto dash = range.find('-');
  const auto lower = static_cast<std::uint16_t>(std::stoul(range));
  return {lower, dash == std::string::npos ? lower : static_cast<std::uint16_t>(std::stoul(range.substr(dash + 1)))};
}

base::Result<void> add_ports(json::object& transport, const char* name, const std::string& text) {
  if (text.empty()) return {};
  const auto range = port_range(text);
  if (!range) return range.error();
  const auto [lower, upper] = ports_of(*range);
  transport[name] = lower == upper ? json::object{{"operator", "eq"}, {"port", lower}}
                                   : json::object{{"lower-port", lower}, {"upper-port", upper}};
  return {};
}

}  // namespace

base::Result<json::object> alias_from_flags(const Options::Data& d) {
  json::object alias{{"name", d.name}};
  json::array prefixes, ranges, protocols;
  for (const auto& text : d.prefixes) {
    const auto prefix = prefix_text(text);
    if (!prefix) return prefix.error();
    prefixes.emplace_back(*prefix);
  }
  for (const auto& text : d.ports) {
    const auto range = port_range(text);
    if (!range) return range.error();
    const auto [lower, upper] = ports_of(*range);
    json::object one{{"lower-port", lower}};
    if (upper != lower) one["upper-port"] = upper;
    ranges.push_back(std::move(one));
  }
  for (const auto& text : d.protocols) {
    const auto protocol = protocol_number(text);
    if (!protocol) return protocol.error();
    protocols.emplace_back(*protocol);
  }
  const auto put = [&](const char* name, json::array items) {
    if (!items.empty()) alias[name] = std::move(items);
  };
  put("target-prefix", std::move(prefixes));
  put("target-port-range", std::move(ranges));
  put("target-protocol", std::move(protocols));
  put("target-fqdn", json::array(d.fqdns.begin(), d.fqdns.end()));
  put("target-uri", json::array(d.uris.begin(), d.uris.end()));
  return alias;
}

base::Result<json::object> filter_from_flags(const Options::Data& d) {
  if (!d.drop && !d.accept && d.rate_limit.empty())
    return base::Error{"what is done with the traffic? add --drop, --accept or --rate-limit"};
  std::optional<model::Family> family;
  json::object ip, transport;
  const std::pair<const char*, const std::string*> ends[] = {{"source", &d.source}, {"destination", &d.destination}};
  for (const auto& [end, text] : ends) {
    if (text->empty()) continue;
    const auto prefix = prefix_text(*text);
    if (!prefix) return prefix.error();
    const model::Family its = prefix->find(':') == std::string::npos ? model::Family::ipv4 : model::Family::ipv6;
    if (family && *family != its) return base::Error{"--source and --destination are of different families"};
    family = its;
    ip[std::string(end) + (its == model::Family::ipv4 ? "-ipv4-network" : "-ipv6-network")] = *prefix;
  }
  std::string layer;
  std::optional<std::uint8_t> protocol;
  if (!d.protocol.empty()) {
    const auto number = protocol_number(d.protocol);
    if (!number) return number.error();
    protocol = *number;
    layer = *protocol == 6 ? "tcp" : *protocol == 17 ? "udp" : *protocol == 1 || *protocol == 58 ? "icmp" : "";
  }
  if (!d.port.empty() || !d.source_port.empty()) {
    if (layer != "tcp" && layer != "udp") return base::Error{"ports go with --protocol tcp or udp"};
    if (auto done = add_ports(transport, "destination-port-range-or-operator", d.port); !done) return done.error();
    if (auto done = add_ports(transport, "source-port-range-or-operator", d.source_port); !done) return done.error();
  }
  if (!d.icmp_type.empty()) {
    if (layer != "icmp") return base::Error{"--icmp-type goes with --protocol icmp or icmpv6"};
    if (d.icmp_type.size() > 3 || d.icmp_type.find_first_not_of("0123456789") != std::string::npos)
      return base::Error{"'" + d.icmp_type + "' is no type; write a number up to 255"};
    transport["type"] = std::stoul(d.icmp_type);
  }
  if ((protocol || d.fragments) && !family)
    return base::Error{"add --source or --destination, so that it is clear whether IPv4 or IPv6 is meant"};
  if (protocol) ip["protocol"] = *protocol;
  if (d.fragments) ip["fragment"] = json::object{{"operator", "match"}, {"type", "isf"}};
  json::object matches, actions{{"forwarding", d.drop ? "drop" : "accept"}};
  if (family) matches[*family == model::Family::ipv4 ? "ipv4" : "ipv6"] = std::move(ip);
  if (!transport.empty()) matches[layer] = std::move(transport);
  if (!d.rate_limit.empty())
    actions["rate-limit"] = d.rate_limit + (d.rate_limit.find('.') == std::string::npos ? ".00" : "");
  json::object ace{{"name", "entry"}, {"actions", std::move(actions)}};
  if (!matches.empty()) ace["matches"] = std::move(matches);
  json::object filter{{"name", d.name}};
  if (family) filter["type"] = *family == model::Family::ipv4 ? "ipv4-acl-type" : "ipv6-acl-type";
  if (!d.activation.empty()) filter["activation-type"] = d.activation;
  filter["aces"] = json::object{{"ace", json::array{std::move(ace)}}};
  return filter;
}

}  // namespace dots::dotsctl
