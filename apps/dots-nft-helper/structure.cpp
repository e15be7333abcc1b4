// SPDX-License-Identifier: GPL-2.0-only
#include "structure.h"

#include <nftables/libnftables.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "filter_view.h"

namespace nfthelper {
namespace {

constexpr const char* kGuard = "tw_guard";
constexpr const char* kNeighbours = "tw_neighbours";
constexpr const char* kEnd = "tw_end";
constexpr const char* kChains[] = {kGuard, "tw_v4", "tw_v6", "tw_rules4", "tw_rules6", "tw_later4", "tw_later6"};
std::string chain_of(Family family) { return family == Family::v4 ? "tw_v4" : "tw_v6"; }
// The rules of mitigations, after exemptions and filters.
std::string rules_of(Family family) { return family == Family::v4 ? "tw_rules4" : "tw_rules6"; }
// The same without those that look at ports, for later fragments: the kernel (seen with 6.18) takes the octets where
// the ports of a later fragment would stand for its ports.
std::string later_of(Family family) { return family == Family::v4 ? "tw_later4" : "tw_later6"; }
const char* later_test(Family family) {
  return family == Family::v4 ? "ip frag-off & 0x1fff != 0" : "frag frag-off != 0";
}
// A fragment of a DOTS datagram is of no use without the others, and only the first has its ports.
const char* whole_test(Family family) {
  return family == Family::v4 ? "ip frag-off & 0x3fff == 0 " : "exthdr frag missing ";
}
std::string chain_of(const SetName& set) { return set.holds_rules() ? rules_of(set.family) : chain_of(set.family); }
bool our_chain(const std::string& name) {
  return std::find(std::begin(kChains), std::end(kChains), name) != std::end(kChains);
}
const char* kind_of(const SetName& set) { return set.kind == SetName::Kind::filter ? "map" : "set"; }

std::string mask_of(Family family, std::uint8_t length) {
  Address mask;
  mask.family = family;
  for (std::size_t i = 0; i < length; ++i) {
    mask.bytes[i / 8] = static_cast<std::uint8_t>(mask.bytes[i / 8] | 0x80u >> (i % 8));
  }
  return to_string(mask);
}

std::string declaration(const SetName& set) {
  const std::string address = set.family == Family::v4 ? "ipv4_addr" : "ipv6_addr";
  if (set.exempts()) {
    return "type " + address + (set.kind == SetName::Kind::exempt_local ? "" : " . " + address) +
           " . inet_proto . inet_service; limit rate 1000/second burst 1000 packets;";
  }
  if (set.kind == SetName::Kind::filter) return "type " + address + " : verdict;";
  std::string text = "type " + address;
  if (set.shape != SetName::Shape::any) text += " . inet_proto";
  if (set.shape == SetName::Shape::port || set.shape == SetName::Shape::range) text += " . inet_service";
  text += ";";
  if (set.shape == SetName::Shape::range) text += " flags interval;";
  // The statements say what elements carry; each element has its own rate.
  text +=
      set.kind == SetName::Kind::limit ? " limit rate over 125000 bytes/second burst 1 bytes counter;" : " counter;";
  return text;
}

std::string rule_text(const SetName& set) {
  const std::string ip = set.family == Family::v4 ? "ip" : "ip6";
  const bool out = set.kind == SetName::Kind::exempt_out;
  // The masked address is the target of a rule, or the peer of an exemption: its source on the way in.
  const bool local = set.kind == SetName::Kind::exempt_local;
  std::string text = set.exempts() ? whole_test(set.family) : "";
  if (local) text += "fib daddr type local ";
  text += ip + (local || set.kind == SetName::Kind::exempt_in ? " saddr" : " daddr");
  if (set.length < width(set.family)) text += " & " + mask_of(set.family, set.length);
  if (set.exempts() && !local) text += " . " + ip + (out ? " saddr" : " daddr");
  const std::string name = to_string(set);
  if (set.kind == SetName::Kind::filter) return text + " vmap @" + name + " comment \"" + name + "\"";
  if (set.exempts() || set.shape != SetName::Shape::any) text += " . meta l4proto";
  if (set.exempts()) {
    text += out ? " . th sport" : " . th dport";
  } else if (set.shape == SetName::Shape::port || set.shape == SetName::Shape::range) {
    text += " . th dport";
  }
  return text + " @" + name + (set.exempts() ? " accept" : " drop") + " comment \"" + name + "\"";
}

// chain -> the comments of our rules in order
std::map<std::string, std::vector<std::string>> expected(const std::set<SetName>& sets) {
  std::map<std::string, std::vector<std::string>> out{{kGuard, {"tw_v4", "tw_v6"}},
                                                      {"tw_v4", {}},
                                                      {"tw_v6", {kNeighbours}},
                                                      {"tw_rules4", {"tw_later4"}},
                                                      {"tw_rules6", {"tw_later6"}}};
  for (const SetName& set : sets) {
    out[chain_of(set)].push_back(to_string(set));
    if (set.holds_rules() && !set.looks_at_ports()) out[later_of(set.family)].push_back(to_string(set));
  }
  for (const auto family : {Family::v4, Family::v6}) {
    out[chain_of(family)].push_back(rules_of(family));
    out[rules_of(family)].emplace_back(kEnd);
    out[later_of(family)].emplace_back(kEnd);
  }
  return out;
}

bool our_rule(const Netlink::RuleText& rule) {
  if (rule.chain == kGuard) return rule.comment == "tw_v4" || rule.comment == "tw_v6";
  if (rule.chain == chain_of(Family::v6) && rule.comment == kNeighbours) return true;
  for (const auto family : {Family::v4, Family::v6}) {
    if (rule.chain == chain_of(family) && rule.comment == rules_of(family)) return true;
    if (rule.chain == rules_of(family) && (rule.comment == kEnd || rule.comment == later_of(family))) return true;
    if (rule.chain == later_of(family) && rule.comment == kEnd) return true;
  }
  const auto set = parse_set_name(rule.comment);
  if (!set) return false;
  const bool later = set->holds_rules() && !set->looks_at_ports() && rule.chain == later_of(set->family);
  return later || rule.chain == chain_of(*set);
}

}  // namespace

std::string run_nft(const std::string& commands) {
  // A context for each run: it keeps a copy of whole rule sets otherwise.
  const std::unique_ptr<nft_ctx, void (*)(nft_ctx*)> context(nft_ctx_new(NFT_CTX_DEFAULT), nft_ctx_free);
  if (!context) return "no memory for libnftables";
  nft_ctx_buffer_output(context.get());
  nft_ctx_buffer_error(context.get());
  if (nft_run_cmd_from_buffer(context.get(), commands.c_str()) == 0) return {};
  std::string error = nft_ctx_get_error_buffer(context.get());
  const auto end = error.find('\n');
  if (end != std::string::npos) error.resize(end);
  return error.empty() ? "refused by libnftables" : error;
}

std::string Structure::build(const std::set<SetName>& sets, const std::vector<SetName>& unwanted) const {
  const std::string at = "inet " + table_ + " ";
  std::string text = "add table inet " + table_ + "\n";
  text += "add chain " + at + kGuard + " { type filter hook prerouting priority -300; policy accept; }\n";
  for (const auto family : {Family::v4, Family::v6}) {
    text += "add chain " + at + chain_of(family) + "\nadd chain " + at + rules_of(family) + "\n";
    text += "add chain " + at + later_of(family) + "\n";
  }
  for (const char* chain : kChains) text += std::string("flush chain ") + at + chain + "\n";
  for (const SetName& set : unwanted) text += std::string("delete ") + kind_of(set) + " " + at + to_string(set) + "\n";
  for (const SetName& set : sets)
    text += std::string("add ") + kind_of(set) + " " + at + to_string(set) + " { " + declaration(set) + " }\n";
  text += "add rule " + at + kGuard + " meta nfproto ipv4 jump tw_v4 comment \"tw_v4\"\n";
  text += "add rule " + at + kGuard + " meta nfproto ipv6 jump tw_v6 comment \"tw_v6\"\n";
  // Without its neighbours an IPv6 address is off the link, DOTS signal included. Hop limit 255: nobody routed these.
  text +=
      "add rule " + at + chain_of(Family::v6) +
      " ip6 hoplimit 255 icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert,"
      " nd-redirect } limit rate 1000/second burst 1000 packets accept comment \"" +
      kNeighbours + "\"\n";
  for (const auto family : {Family::v4, Family::v6}) {
    text += "add rule " + at + rules_of(family) + " " + later_test(family) + " goto " + later_of(family) +
            " comment \"" + later_of(family) + "\"\n";
  }
  for (const SetName& set : sets) {
    text += "add rule " + at + chain_of(set) + " " + rule_text(set) + "\n";
    if (!set.holds_rules() || set.looks_at_ports()) continue;
    text += "add rule " + at + later_of(set.family) + " " + rule_text(set) + "\n";
  }
  for (const auto family : {Family::v4, Family::v6}) {
    text +=
        "add rule " + at + chain_of(family) + " goto " + rules_of(family) + " comment \"" + rules_of(family) + "\"\n";
    // Who comes from a filter must not go back to the filters after it.
    for (const std::string& chain : {rules_of(family), later_of(family)}) {
      text += "add rule " + at + chain + " accept comment \"" + kEnd + "\"\n";
    }
  }
  return run_nft(text);
}

bool Structure::intact(const Netlink::Objects& objects, const std::set<SetName>& sets) const {
  std::map<std::string, std::vector<std::string>> seen;
  for (const auto& chain : objects.chains) {
    if (our_chain(chain.name)) seen[chain.name];
  }
  for (const auto& rule : objects.rules) {
    if (our_chain(rule.chain) && our_rule(rule)) seen[rule.chain].push_back(rule.comment);
  }
  return seen == expected(sets);
}

std::set<SetName> Structure::wired(const Netlink::Objects& objects) const {
  std::set<Family> reached;
  std::set<Family> on_to_rules;
  std::set<SetName> out;
  for (const auto& rule : objects.rules) {
    for (const auto family : {Family::v4, Family::v6}) {
      if (rule.chain == kGuard && rule.comment == chain_of(family)) reached.insert(family);
      if (rule.chain == chain_of(family) && rule.comment == rules_of(family)) on_to_rules.insert(family);
    }
  }
  for (const auto& rule : objects.rules) {
    const auto set = parse_set_name(rule.comment);
    if (!set || rule.chain != chain_of(*set) || !reached.contains(set->family)) continue;
    if (!set->holds_rules() || on_to_rules.contains(set->family)) out.insert(*set);
  }
  return out;
}

Structure::Foreign Structure::foreign(const Netlink::Objects& objects) const {
  Foreign foreign;
  std::set<std::string> known;
  for (const auto& rule : objects.rules) {
    if (!our_chain(rule.chain)) continue;  // goes with its chain
    if (our_rule(rule) && known.insert(rule.chain + "/" + rule.comment).second) continue;
    foreign.texts.push_back("rule in chain " + rule.chain + ", handle " + std::to_string(rule.handle));
    foreign.removals.push_back("delete rule inet " + table_ + " " + rule.chain + " handle " +
                               std::to_string(rule.handle));
  }
  const auto add = [&](const Netlink::Named& object) {
    foreign.texts.push_back(object.kind + " " + object.name);
    foreign.removals.push_back("delete " + object.kind + " inet " + table_ + " handle " +
                               std::to_string(object.handle));
  };
  for (const auto& chain : objects.chains) {
    if (!our_chain(chain.name) && !parse_filter_chain(chain.name)) add(chain);
  }
  for (const auto& set : objects.sets) {
    if (!parse_set_name(set.name)) add(set);
  }
  for (const auto& other : objects.others) add(other);
  return foreign;
}

}  // namespace nfthelper
