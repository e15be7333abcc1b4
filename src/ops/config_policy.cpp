// [[policy]] and [safety]: which back ends mitigate what, and what nothing may touch (docs/policy.md).
#include <charconv>
#include <set>

#include "model/protocol.h"
#include "ops/config_keys.h"
#include "ops/config_sections.h"

namespace dots::ops {

using namespace keys;

namespace {

template <class T>
std::optional<T> number_in(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

template <class T>
std::optional<std::pair<T, T>> range_in(const std::string& text) {
  const auto dash = text.find('-');
  const auto lower = number_in<T>(std::string_view{text}.substr(0, dash));
  const auto upper = dash == std::string::npos ? lower : number_in<T>(std::string_view{text}.substr(dash + 1));
  if (!lower || !upper || *upper < *lower) return std::nullopt;
  return std::pair(*lower, *upper);
}

template <std::uint8_t Width>
Reading<policy::LengthRange> lengths(const std::string& text) {
  const auto range = range_in<std::uint8_t>(text);
  if (range && range->second <= Width) return policy::LengthRange{range->first, range->second};
  return Complaint{"'" + text + "' is no range of prefix lengths", "write for example '" + std::to_string(Width) +
                                                                       "' or '" + std::to_string(Width - 8) + "-" +
                                                                       std::to_string(Width) + "'"};
}

Reading<model::PortRange> port_range(const std::string& text) {
  if (const auto range = range_in<std::uint16_t>(text)) return model::PortRange{range->first, range->second};
  return Complaint{"'" + text + "' is no port", "write for example '53' or '8000-8080'"};
}

Reading<std::uint8_t> protocol(const std::string& text) {
  if (const auto number = number_in<std::uint8_t>(text)) return *number;
  for (unsigned number = 0; number < 256; ++number) {
    if (model::protocol_name(static_cast<std::uint8_t>(number)) == text) return static_cast<std::uint8_t>(number);
  }
  return Complaint{"'" + text + "' is no protocol",
                   "write tcp, udp, icmp, icmpv6, sctp, gre, esp or a number up to 255"};
}

Reading<model::Prefix> any_prefix(const std::string& text) {
  const auto address = model::parse_ip_address(text);
  const auto prefix = address ? base::Result<model::Prefix>{model::host_prefix(*address)} : model::parse_prefix(text);
  if (!prefix)
    return Complaint{"'" + text + "' is no prefix: " + prefix.error().message, "write for example '203.0.113.0/24'"};
  static const model::Prefix mapped = *model::parse_prefix("::ffff:0:0/96");
  if (mapped.contains(*prefix))
    return Complaint{"'" + text + "' is IPv4 in the clothes of IPv6, and no packet has such an address",
                     "write the IPv4 prefix"};
  if (*prefix != prefix->masked())
    return Complaint{"'" + text + "' has host bits", "write '" + model::to_string(prefix->masked()) + "'"};
  return *prefix;
}

Reading<policy::SafeTarget> safe_target(const std::string& text) {
  auto prefix = any_prefix(text);
  if (!prefix) return prefix.error();
  return policy::SafeTarget{*prefix, "is on the target safe-list"};
}

Reading<std::string> token(const std::string& text) { return read_line(text, 64); }

}  // namespace

SectionSpec policy_section() {
  using R = policy::PolicyRule;
  using A = policy::PolicyAction;
  SectionSpec s = section("policy", ForRole::server);
  s.repeated = true;
  s.live = true;
  s.meaning =
      "A rule that says which back ends mitigate a request, and how. The first rule that matches decides; without one "
      "everything goes to every back end as asked. `dotsctl policy` prints the chain, `dotsctl what-if` what it would "
      "do; docs/policy.md has examples.";
  s.open = [](void* parent) -> void* { return &static_cast<Config*>(parent)->policy.emplace_back(); };
  s.keys = {
      required(parsed<R>("name", &R::name, "text", read_identifier,
                         {"Its name in logs, audit and `dotsctl`. Unique.", "\"small-attacks\""})),
      list<R>("domains", &R::domains, "list of names", 1000, read_identifier,
              {"Matches requests of these client domains.", "[\"example-net\"]"}),
      parsed<R>("prefix_length_v4", &R::v4_lengths, "range", lengths<32>,
                {"Matches when the widest IPv4 target has this length. With a length for one family alone, requests "
                 "with targets of the other do not match.",
                 "\"32\""}),
      parsed<R>("prefix_length_v6", &R::v6_lengths, "range", lengths<128>, {"The same of IPv6 targets.", "\"64-128\""}),
      list<R>("protocols", &R::protocols, "list of protocols", 64, protocol,
              {"Matches requests that name protocols, all of them among these.", "[\"udp\", \"icmp\"]"}),
      list<R>("ports", &R::ports, "list of ports", 64, port_range,
              {"Matches requests that name destination ports, all of them among these.", "[\"53\", \"8000-8080\"]"}),
      choice<R>("scope", &R::scope,
                Choices<policy::ScopeKind>{{"any", policy::ScopeKind::any},
                                           {"broad", policy::ScopeKind::broad},
                                           {"narrow", policy::ScopeKind::narrow}},
                {"`broad`: requests that name neither protocol nor port; `narrow`: the others.", "\"broad\""}),
      number<R>("volume_from_bits_per_s", &R::volume_from_bps, "bits per second", {1, 1'000'000'000'000'000, true},
                {"Matches when back ends measure at least this much attack traffic for the mitigation. It is judged "
                 "again while the mitigation runs.",
                 "1000000000"}),
      number<R>("volume_below_bits_per_s", &R::volume_below_bps, "bits per second", {1, 1'000'000'000'000'000, true},
                {"Matches while less than this is measured, or nothing is known.", "1000000000"}),
      list<R>("services", &R::services, "list of texts", 64, token,
              {"Matches requests that ask for one of these services (docs/extensions.md).", "[\"scrubbing\"]"}),
      list<R>("contracts", &R::contracts, "list of texts", 64, token,
              {"Matches requests under one of these contracts: the one that the request names, or the first of the "
               "domain's.",
               "[\"gold\"]"}),
      choice<R>("action", &R::action,
                Choices<A>{{"as-asked", A::as_asked},
                           {"drop", A::drop},
                           {"limit", A::limit},
                           {"blackhole", A::blackhole},
                           {"observe", A::observe},
                           {"refuse", A::refuse}},
                {"`as-asked`: as `broad_scope` and `scoped_limit_bytes_per_s` of the domain say; `drop` and `limit`: "
                 "with the protocols and ports of the request; `blackhole`: all traffic of the targets; `observe`: "
                 "accept and start nothing; `refuse`.",
                 "\"blackhole\""}),
      list<R>("use", &R::use, "list of names", 64, read_identifier,
              {"Back ends that mitigate, all of them together. Without it: every one.", "[\"scrubber\"]"}),
      list<R>(
          "overflow", &R::overflow, "list of names", 64, read_identifier,
          {"Back ends that take the place of one of `use` that has no room or cannot express the request; the first "
           "that can.",
           "[\"routers\"]"}),
      number<R>("limit_bytes_per_s", &R::limit_bytes_per_s, "bytes per second", {1000, 1'000'000'000'000, true},
                {"The limit of `action = \"limit\"`, for each rule.", "125000"}),
      parsed<R>("reason", &R::reason, "text", [](const std::string& t) { return read_line(t, 200); },
                {"What the client is told with `refuse`, and the status pages with `observe`.",
                 "\"call +1 555 0100 first\""}),
      boolean<R>("approval", &R::approval,
                 {"Must an operator approve it first (`dotsctl approve`)? Nothing is installed before. It is judged "
                  "when a mitigation "
                  "starts, so that it does not go with volumes.",
                  "false"}),
      boolean<R>(
          "widen_to_domain", [](R & r) -> auto& { return r.widen.domain; },
          {"Mitigate all prefixes of the domain, whatever part of them is asked for? The client is told.", "false"}),
      number<R>("widen_to_length_v4", [](R & r) -> auto& { return r.widen.v4_length; }, "bits", {1, 32, true},
                {"Widen IPv4 targets to this prefix length, but not beyond what the domain owns. 0: as asked.", "24"}),
      number<R>("widen_to_length_v6", [](R & r) -> auto& { return r.widen.v6_length; }, "bits", {1, 128, true},
                {"The same of IPv6 targets.", "48"}),
  };
  return s;
}

SectionSpec safety_section() {
  using S = policy::SafetyPolicy;
  SectionSpec s = section("safety", ForRole::server);
  s.live = true;
  s.meaning =
      "What no mitigation may touch, and how much there may be. The addresses that the server listens on and those of "
      "BGP "
      "back ends are on the target safe-list by themselves.";
  s.open = [](void* parent) -> void* { return &static_cast<Config*>(parent)->safety; };
  s.keys = {
      list<S>("targets", &S::targets, "list of prefixes", 1000, safe_target,
              {"Traffic to these is never dropped, limited or blackholed: wider targets are split around them, others "
               "refused.",
               "[\"192.0.2.53\", \"2001:db8:7:1::/64\"]"}),
      list<S>("sources", &S::sources, "list of prefixes", 1000, any_prefix,
              {"Traffic from these passes before all drops, at back ends that take lists of filters.",
               "[\"198.51.100.0/24\"]"}),
      number<S>("pieces", &S::pieces, "", {1, 4096}, {"Prefixes that one target may be split into.", "128"}),
      number<S>("approval_above_v4", &S::approval_above_v4, "bits", {1, 32, true},
                {"A request with an IPv4 target wider than this waits for approval. 0: none does.", "24"}),
      number<S>("approval_above_v6", &S::approval_above_v6, "bits", {1, 128, true},
                {"The same of IPv6 targets.", "48"}),
      number<S>("rules_per_domain", &S::rules_per_domain, "", {1, 10 * kMillion, true},
                {"Rules of one domain over all back ends; a mitigation that needs more is accepted and waits for room "
                 "(status 4). 0: no limit.",
                 "10000"}),
      number<S>("rules", &S::rules, "", {1, 10 * kMillion, true}, {"The same of all domains together.", "100000"}),
  };
  return s;
}

namespace {

// Whether a person is asked is judged when a mitigation starts. A rule that decides only when the attack has grown
// would never ask, and install all the same.
void check_approval(const Config& config, const ConfigPlaces& places, ConfigProblems& problems) {
  bool by_volume = false;
  for (std::size_t i = 0; i < config.policy.size(); ++i) {
    const policy::PolicyRule& rule = config.policy[i];
    const std::string path = "policy[" + std::to_string(i) + "]";
    if (rule.approval && (by_volume || rule.volume_from_bps > 0)) {
      const auto at = places.find(path + ".approval");
      problems.add(
          at == places.end() ? 0 : at->second, path + ".approval",
          rule.volume_from_bps > 0 ? "does not go with volume_from_bits_per_s"
                                   : "stands below a rule with volume_below_bits_per_s, which a growing attack leaves",
          "it is judged when a mitigation starts, and the volume is known later: let `use` choose the back end");
    }
    by_volume = by_volume || rule.volume_below_bps > 0;
    const bool starts_nothing =
        rule.action == policy::PolicyAction::refuse || rule.action == policy::PolicyAction::observe;
    if (rule.approval && starts_nothing) {
      const auto at = places.find(path + ".approval");
      problems.add(at == places.end() ? 0 : at->second, path + ".approval", "this rule starts nothing",
                   "leave approval out");
    }
  }
}

}  // namespace

void check_policy(const Config& config, const ConfigPlaces& places, ConfigProblems& problems) {
  const auto line = [&](const std::string& key, const std::string& path) {
    return places.contains(key) ? places.at(key) : places.contains(path) ? places.at(path) : 0;
  };
  std::set<std::string> back_ends, domains, seen;
  for (const auto& mitigator : config.mitigators) back_ends.insert(mitigator.name);
  for (const auto& domain : config.domains) domains.insert(domain.id.value);
  for (std::size_t i = 0; i < config.policy.size(); ++i) {
    const policy::PolicyRule& rule = config.policy[i];
    const std::string path = "policy[" + std::to_string(i) + "]";
    const auto add = [&](const std::string& key, const std::string& what, const std::string& remedy) {
      problems.add(line(path + "." + key, path), path + "." + key, what, remedy);
    };
    if (!rule.name.empty() && !seen.insert(rule.name).second)
      add("name", "'" + rule.name + "' is taken by another policy", "give each policy its own");
    const auto known = [&](const char* key, const std::vector<std::string>& names, const std::set<std::string>& all,
                           const char* what) {
      for (const std::string& name : names) {
        if (all.contains(name)) continue;
        const auto meant = closest(name, {all.begin(), all.end()});
        add(key, std::string("there is no ") + what + " '" + name + "'",
            meant ? "write '" + *meant + "'" : std::string("name one of the [[") + what + "]] tables");
      }
    };
    known("use", rule.use, back_ends, "mitigator");
    known("overflow", rule.overflow, back_ends, "mitigator");
    known("domains", rule.domains, domains, "domain");
    if ((rule.action == policy::PolicyAction::limit) != (rule.limit_bytes_per_s != 0))
      add("limit_bytes_per_s", "goes with action = \"limit\", and that with it", "write both or none");
    if (rule.action == policy::PolicyAction::refuse && rule.reason.empty())
      add("reason", "is missing: who is refused must learn why",
          "write for example reason = \"not under your contract\"");
    if (rule.volume_below_bps != 0 && rule.volume_from_bps >= rule.volume_below_bps)
      add("volume_from_bits_per_s", "is not below volume_below_bits_per_s, so that nothing matches", "write less");
    const bool starts_nothing =
        rule.action == policy::PolicyAction::refuse || rule.action == policy::PolicyAction::observe;
    if (starts_nothing && (!rule.use.empty() || !rule.overflow.empty()))
      add("use", "this rule starts nothing, so that no back end is used", "leave use and overflow out");
  }
  check_approval(config, places, problems);
}

}  // namespace dots::ops
