#include "ops/config_bgp.h"

#include <charconv>

#include "ops/config_keys.h"

namespace dots::ops {

using namespace keys;

namespace {

// "1:2:3" as numbers of at most `most` each; nothing when there are not `count` of them.
std::optional<std::vector<std::uint32_t>> numbers(const std::string& text, std::size_t count, std::uint64_t most) {
  std::vector<std::uint32_t> out;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(':', at), text.size());
    std::uint64_t value = 0;
    const auto [stop, error] = std::from_chars(text.data() + at, text.data() + end, value);
    if (error != std::errc{} || stop != text.data() + end || value > most) return std::nullopt;
    out.push_back(static_cast<std::uint32_t>(value));
    at = end + 1;
  }
  if (out.size() != count) return std::nullopt;
  return out;
}

template <model::Family kFamily>
Reading<model::IpAddress> address_of(const std::string& text) {
  const auto address = model::parse_ip_address(text);
  if (address && address->family == kFamily) return *address;
  const bool v4 = kFamily == model::Family::ipv4;
  return Complaint{"'" + text + "' is no IPv" + (v4 ? "4" : "6") + " address",
                   std::string("write for example \"") + (v4 ? "192.0.2.1" : "100::1") + "\""};
}

Reading<model::IpAddress> any_address(const std::string& text) {
  const auto address = model::parse_ip_address(text);
  if (address) return *address;
  return Complaint{"'" + text + "' is no address", "write for example \"192.0.2.1\""};
}

}  // namespace

Reading<std::string> read_bgp_api(const std::string& text) {
  if (text.starts_with("unix:///") && text.size() > 8 && text.size() < 108) return text;
  // Who reaches the interface of gobgpd may do anything with it.
  const auto host = read_socket_address(text, 50051);
  if (host && is_loopback(host->ip)) return model::to_string(*host);
  return Complaint{"'" + text + "' is neither a unix socket nor an address of this machine",
                   "write for example \"unix:///run/gobgpd.sock\""};
}

Reading<std::uint32_t> read_community(const std::string& text) {
  const auto parts = numbers(text, 2, 0xffff);
  if (parts) return (*parts)[0] << 16 | (*parts)[1];
  return Complaint{"'" + text + "' is no community", "write for example \"65535:666\""};
}

Reading<LargeCommunityValue> read_large_community(const std::string& text) {
  const auto parts = numbers(text, 3, 0xffffffff);
  if (parts) return LargeCommunityValue{(*parts)[0], (*parts)[1], (*parts)[2]};
  return Complaint{"'" + text + "' is no large community", "write for example \"64500:666:0\""};
}

Reading<std::array<std::uint32_t, 2>> read_marker(const std::string& text) {
  const auto parts = numbers(text, 2, 0xffffffff);
  if (parts) return std::array{(*parts)[0], (*parts)[1]};
  return Complaint{"'" + text + "' is no beginning of a large community", "write for example \"64512:4646\""};
}

Reading<RouteTargetValue> read_route_target(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon != std::string::npos) {
    const auto number = numbers(text.substr(colon + 1), 1, 0xffffffff);
    const auto address = model::parse_ip_address(text.substr(0, colon));
    const auto as_number = numbers(text.substr(0, colon), 1, 0xffffffff);
    // Six octets in all: the larger the one, the smaller the other (RFC 4360, RFC 5668).
    if (number && as_number && ((*as_number)[0] <= 0xffff || (*number)[0] <= 0xffff))
      return RouteTargetValue{{}, (*as_number)[0], (*number)[0]};
    if (number && address && address->family == model::Family::ipv4 && (*number)[0] <= 0xffff)
      return RouteTargetValue{*address, 0, (*number)[0]};
  }
  return Complaint{"'" + text + "' is no route target", "write for example \"64512:100\""};
}

std::vector<KeySpec> bgp_keys() {
  using M = MitigatorConfig;
  // Texts have no defaults of their own here: those stand in BgpConfig.
  const auto bgp = [](auto member) {
    return [member](M & m) -> auto& { return m.bgp.*member; };
  };
  std::vector<KeySpec> out;
  out.push_back(
      by_default("\"unix:///run/gobgpd.sock\"",
                 parsed<M>("api", bgp(&BgpConfig::api), "text", read_bgp_api,
                           {"gobgp: where gobgpd answers (`--api-hosts`), a unix socket or an address of this "
                            "machine. Whoever reaches it may announce anything.",
                            "\"unix:///run/gobgpd.sock\""})));
  out.push_back(list<M>("peers", bgp(&BgpConfig::peers), "list of addresses", 64, any_address,
                        {"gobgp: the neighbors of gobgpd that all must be established for a rule to be in force. Left "
                         "out or empty: one neighbor is enough.",
                         "[\"192.0.2.254\"]"}));
  out.push_back(by_default("\"64512:4646\"",
                           parsed<M>("marker", bgp(&BgpConfig::marker), "text", read_marker,
                                     {"gobgp: the first two numbers of large communities that mark our routes. What "
                                      "bears them in gobgpd is ours and is removed when nothing explains it; nothing "
                                      "else is touched. Give each daemon that shares a gobgpd its own.",
                                      "\"64512:4646\""})));
  out.push_back(
      list<M>("former_markers", bgp(&BgpConfig::former_markers), "list of texts", 8, read_marker,
              {"gobgp: markers of earlier configurations. Routes that bear one are announced anew under `marker` "
               "at the start; without this a changed marker leaves them behind.",
               "[\"64512:4645\"]"}));
  out.push_back(
      by_default("\"192.0.2.1\"",
                 parsed<M>("next_hop_v4", bgp(&BgpConfig::next_hop_v4), "address", address_of<model::Family::ipv4>,
                           {"gobgp-rtbh: the next hop of IPv4 blackhole routes.", "\"192.0.2.1\""})));
  out.push_back(by_default(
      "\"100::1\"", parsed<M>("next_hop_v6", bgp(&BgpConfig::next_hop_v6), "address", address_of<model::Family::ipv6>,
                              {"gobgp-rtbh: the next hop of IPv6 blackhole routes (RFC 6666 has "
                               "100::/64 for it).",
                               "\"100::1\""})));
  out.push_back(by_default(
      "`[\"65535:666\"]` (RFC 7999) of gobgp-rtbh, none of gobgp-flowspec",
      list<M>("communities",
              [](M & m) -> auto& { return m.bgp.communities ? *m.bgp.communities : m.bgp.communities.emplace(); },
              "list of communities", 32, read_community,
              {"gobgp: communities of every route: those by which your upstreams know a blackhole.",
               "[\"65535:666\", \"64500:666\"]"})));
  out.push_back(list<M>(
      "large_communities", bgp(&BgpConfig::large_communities), "list of large communities", 32, read_large_community,
      {"gobgp: large communities (RFC 8092) of every route, beside the marks.", "[\"64500:666:0\"]"}));
  out.push_back(boolean<M>("no_export", bgp(&BgpConfig::no_export),
                           {"gobgp: routes carry no-export (RFC 1997), so that a neighbor does not pass them on to "
                            "other networks.",
                            "true"}));
  out.push_back(number<M>("local_preference", bgp(&BgpConfig::local_preference), "", {0, 0xffffffff},
                          {"gobgp-rtbh: of routes to neighbors in our own AS. Flow specifications are preferred by "
                           "their strictness.",
                           "200"}));
  out.push_back(choice<M>(
      "drop_as", bgp(&BgpConfig::drop_as),
      Choices<BgpDrop>{{"discard", BgpDrop::discard}, {"redirect", BgpDrop::redirect}, {"mark", BgpDrop::mark}},
      {"gobgp-flowspec: what routers do with traffic that is to be dropped: `discard` it (traffic-rate 0), `redirect` "
       "it to a scrubber (`redirect_rt`, `redirect_ip`), or `mark` it with `dscp`.",
       "\"discard\""}));
  out.push_back(parsed<M>("redirect_rt", bgp(&BgpConfig::redirect_rt), "route target", read_route_target,
                          {"gobgp-flowspec: the VRF that traffic is redirected to (RFC 8955 7.4).", "\"64512:100\""}));
  out.push_back(list<M>(
      "redirect_ip", bgp(&BgpConfig::redirect_ip), "list of addresses", 2, any_address,
      {"gobgp-flowspec: the address that traffic is redirected to, one of each family.", "[\"198.51.100.1\"]"}));
  out.push_back(number<M>("dscp", bgp(&BgpConfig::dscp), "", {0, 63},
                          {"gobgp-flowspec: the DSCP of `drop_as = \"mark\"`.", "8"}));
  return out;
}

}  // namespace dots::ops
