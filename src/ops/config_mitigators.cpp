#include <array>
#include <set>
#include <string>
#include <tuple>

#include "ops/config_keys.h"
#include "ops/config_sections.h"

namespace dots::ops {

using namespace keys;

namespace {

Reading<std::string> table_name(const std::string& text) {
  const auto identifier = read_identifier(text);
  const bool starts_well = !text.empty() && ((text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z'));
  if (identifier && starts_well && text.find_first_of(".-") == std::string::npos && text.size() <= 32) return text;
  return Complaint{"'" + text + "' is no name for a table", "write 1 to 32 letters, digits or '_', a letter first"};
}

}  // namespace

SectionSpec mitigator_section() {
  using M = MitigatorConfig;
  SectionSpec s = section("mitigator", ForRole::server);
  s.repeated = true;
  s.required = true;
  s.meaning = "A back end that stops the attack traffic. Without a `[[policy]]` every mitigation goes to each of them.";
  s.open = [](void* parent) -> void* { return &static_cast<Config*>(parent)->mitigators.emplace_back(); };
  s.keys = {
      required(parsed<M>("name", &M::name, "text", read_identifier,
                         {"Its name in logs, metrics and `dotsctl`. Unique.", "\"border\""})),
      required(choice<M>(
          "kind", &M::kind,
          Choices<std::string>{{"nftables", "nftables"},
                               {"command", "command"},
                               {"webhook", "webhook"},
                               {"notify", "notify"},
                               {"dry-run", "dry-run"},
                               {"gobgp-rtbh", "gobgp-rtbh"},
                               {"gobgp-flowspec", "gobgp-flowspec"}},
          {"`nftables` drops in this machine's kernel and needs CAP_NET_ADMIN for its helper; `dry-run` "
           "only remembers what it would do; `command` asks a program of yours, `webhook` a service of yours; "
           "`notify` asks a person, who approves or refuses; `gobgp-rtbh` and "
           "`gobgp-flowspec` have routers drop, by "
           "routes that a gobgpd announces. docs/mitigators.md compares them.",
           "\"nftables\""})),
      by_default("`dots-nft-helper` beside the daemon",
                 path<M>("helper", &M::helper,
                         {"nftables: the helper program.", "\"/usr/libexec/tidewall/dots-nft-helper\""})),
      by_default("\"tidewall\"", parsed<M>("table", &M::table, "text", table_name,
                                           {"nftables: the table of ours; nothing outside it is touched. Unique among "
                                            "the back ends of this machine.",
                                            "\"tidewall\""})),
      choice<M>("on_stop", &M::on_stop, Choices<OnStop>{{"remove", OnStop::remove}, {"keep", OnStop::keep}},
                {"What happens to the rules when the daemon stops in good order.", "\"remove\""}),
      number<M>("timeout_ms", &M::timeout_ms, "ms", {100, 60000},
                {"A call of the back end that takes longer has failed.", "5000"}),
      number<M>("counters_every_ms", &M::counters_every_ms, "ms", {100, 600000},
                {"How often the drop counters are read.", "1000"}),
      number<M>("exemption_rate_pps", &M::exemption_rate_pps, "packets per second", {10, 10 * kMillion},
                {"Traffic of one DOTS peer that always passes, before all drops.", "1000"}),
      boolean<M>("dry_run", &M::dry_run,
                 {"Plan and show everything as if it were installed, and install nothing? For a back end that is new.",
                  "false"}),
      number<M>("max_rules", &M::max_rules, "", {1, 10 * kMillion, true},
                {"Rules that it takes; with more, mitigations go to the overflow of their policy or wait for room "
                 "(status 4). 0: no limit.",
                 "1000"}),
      number<M>("max_bits_per_s", &M::max_bits_per_s, "bits per second", {1000, 1'000'000'000'000'000, true},
                {"Attack traffic that it can take; measured at this back end. 0: no limit.", "10000000000"}),
      number<M>("min_prefix_length_v4", &M::min_prefix_length_v4, "bits", {1, 32, true},
                {"IPv4 targets wider than this are not given to it. 0: all are.", "24"}),
      number<M>("min_prefix_length_v6", &M::min_prefix_length_v6, "bits", {1, 128, true},
                {"The same of IPv6 targets.", "48"}),
  };
  for (KeySpec& key : bgp_keys()) s.keys.push_back(std::move(key));
  for (KeySpec& key : external_mitigator_keys()) s.keys.push_back(std::move(key));
  return s;
}

namespace {

// Two back ends that would take each other's routes for foreign ones; and drops that have nowhere to go.
void check_bgp(const Config& config, const ConfigPlaces& places, ConfigProblems& problems) {
  std::set<std::tuple<std::string, std::string, std::array<std::uint32_t, 2>>> seen;
  for (std::size_t i = 0; i < config.mitigators.size(); ++i) {
    const MitigatorConfig& m = config.mitigators[i];
    if (!m.kind.starts_with("gobgp-")) continue;
    const std::string path = "mitigator[" + std::to_string(i) + "]";
    const auto add = [&](const std::string& key, const std::string& what, const std::string& remedy) {
      const auto found = places.find(path + "." + key);
      problems.add(found != places.end()   ? found->second
                   : places.contains(path) ? places.at(path)
                                           : 0,
                   path + "." + key, what, remedy);
    };
    if (!seen.insert({m.kind, m.bgp.api, m.bgp.marker}).second)
      add("marker", "another mitigator of this kind has the same api and marker", "give each its own marker");
    for (const MitigatorConfig& other : config.mitigators) {
      const auto& former = m.bgp.former_markers;
      const bool one_place = other.kind == m.kind && other.bgp.api == m.bgp.api;
      if (one_place && std::find(former.begin(), former.end(), other.bgp.marker) != former.end())
        add("former_markers",
            "'" + other.name + "' has the marker " + std::to_string(other.bgp.marker[0]) + ":" +
                std::to_string(other.bgp.marker[1]) + " now",
            "name only markers that nobody uses any more");
    }
    if (m.bgp.drop_as == BgpDrop::redirect && !m.bgp.redirect_rt && m.bgp.redirect_ip.empty())
      add("drop_as", "there is nowhere to redirect to", "write redirect_rt or redirect_ip");
    if (m.bgp.redirect_ip.size() == 2 && m.bgp.redirect_ip[0].family == m.bgp.redirect_ip[1].family)
      add("redirect_ip", "both addresses are of one family", "write at most one of each");
    if (m.kind == "gobgp-rtbh" && m.bgp.drop_as != BgpDrop::discard)
      add("drop_as", "a blackhole route can only discard", "use kind = \"gobgp-flowspec\"");
  }
}

}  // namespace

void check_mitigators(const Config& config, const ConfigPlaces& places, ConfigProblems& problems) {
  check_bgp(config, places, problems);
  std::set<std::string> tables;
  for (std::size_t i = 0; i < config.mitigators.size(); ++i) {
    const MitigatorConfig& mitigator = config.mitigators[i];
    check_external_mitigator(mitigator, "mitigator[" + std::to_string(i) + "]", places, problems);
    if (mitigator.kind != "nftables" || !mitigator.helper_command.empty() || tables.insert(mitigator.table).second)
      continue;
    const std::string path = "mitigator[" + std::to_string(i) + "]";
    const auto line = [&](const std::string& key) { return places.contains(key) ? places.at(key) : 0; };
    const std::string key = path + ".table";
    problems.add(places.contains(key) ? line(key) : line(path), key,
                 "the table '" + mitigator.table + "' is used by another mitigator", "give each its own table");
  }
}

}  // namespace dots::ops
