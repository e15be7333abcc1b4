#include "adapters/mitigators/gobgp/gobgp_mitigator.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <set>

#include "adapters/mitigators/gobgp/sessions.h"

namespace dots::adapters::mitigators::gobgp {

using model::FilterListKey;
using model::RefusalReason;
using model::Rule;
using ports::RuleChange;

namespace {

using Place = std::pair<model::Family, base::Bytes>;

// What a seen route is for.
struct Meaning {
  Marks marks;
  std::optional<Rule> rule;  // else it is of the list in the marks
};

Route withdrawal_of(const SeenRoute& seen) {
  Route route;
  route.family = seen.family;
  route.kind = seen.kind;
  route.nlri = seen.nlri;
  route.identifier = seen.identifier;
  route.withdraw = true;
  return route;
}

// A list that is there since before we started: its name comes back with who wants it.
constexpr const char* kUnnamed = "unnamed ";
FilterListKey unnamed(std::uint64_t mark) { return {{}, {}, kUnnamed + std::to_string(mark)}; }
std::optional<std::uint64_t> mark_of_unnamed(const FilterListKey& key) {
  if (!key.domain.value.empty() || !key.cuid.value.empty() || !key.list.starts_with(kUnnamed)) return std::nullopt;
  const std::uint64_t mark = std::strtoull(key.list.c_str() + std::strlen(kUnnamed), nullptr, 10);
  return unnamed(mark) == key ? std::optional(mark) : std::nullopt;
}

MitigatorFault away(const base::Error& error) { return {error.message, RefusalReason::hardware}; }

}  // namespace

struct GobgpMitigator::State {
  explicit State(GobgpOptions wanted) : options(std::move(wanted)), speaker(options.speaker) {}

  GobgpOptions options;
  Speaker speaker;
  bool open = false;
  std::vector<PeerView> peers;
  std::map<std::uint64_t, FilterListKey> names;  // of lists that were put or removed by us, by their marks
  std::map<FilterListKey, std::string> empty;    // lists without a route: their digests

  base::Result<std::vector<SeenRoute>> seen() { return speaker.routes(options.kind, options.announcement.marker); }

  // Nothing: it bears our marker, but we did not make it so.
  std::optional<Meaning> meaning_of(const SeenRoute& route) const {
    return meaning_of(route, options.announcement.marker);
  }
  std::optional<Meaning> meaning_of(const SeenRoute& route, const Marker& marker) const {
    auto marks = read(marker, route.large_communities);
    if (!marks) return std::nullopt;
    if (marks->list) {
      if (route.identifier != list_identifier(marker, marks->list->key)) return std::nullopt;
      return Meaning{std::move(*marks), std::nullopt};
    }
    auto rule = rule_of(route, *marks);
    if (!rule || route.identifier != rule_identifier(marker)) return std::nullopt;
    return Meaning{std::move(*marks), std::move(rule)};
  }

  RouteOrFault route_for(const Rule& rule) const {
    return options.kind == RouteKind::unicast ? blackhole_route(options.announcement, rule)
                                              : flow_route(options.announcement, rule);
  }

  // Where the route of a rule is, whatever the configuration says of new ones.
  Route withdrawal_for(const Rule& rule) const {
    Rule plain = rule;
    Announcement announcement = options.announcement;
    Route route;
    route.family = rule.match.target.address.family;
    route.kind = options.kind;
    route.identifier = rule_identifier(announcement.marker);
    route.withdraw = true;
    if (options.kind == RouteKind::unicast) {
      route.nlri = nlri_of(rule.match.target);
      return route;
    }
    plain.action = model::RuleAction::drop;
    plain.rate_limit_bps = 0;
    if (auto made = flow_route(announcement, plain); made.ok()) route.nlri = made->nlri;
    return route;
  }

  std::optional<MitigatorFault> cuts_session(const std::string& what, const FlowSpec& flow) const {
    const PeerView* peer = cut_by(peers, flow);
    if (peer == nullptr) return std::nullopt;
    return MitigatorFault{what + ": it would cut the BGP session with " + model::to_string(peer->address),
                          RefusalReason::policy};
  }

  // Routes that were made under another configuration get what it says now, those with a former marker the present one.
  base::Result<void> renew() {
    std::vector<Route> anew;
    if (auto done = renew(options.announcement.marker, anew); !done) return done;
    for (const Marker& former : options.former_markers) {
      if (auto done = renew(former, anew); !done) return done;
    }
    return speaker.send(anew);
  }
  base::Result<void> renew(const Marker& marker, std::vector<Route>& anew) {
    const auto routes = speaker.routes(options.kind, marker);
    if (!routes) return routes.error();
    const bool moves = marker != options.announcement.marker;
    const std::uint32_t profile = profile_of(options.announcement);
    for (const SeenRoute& route : *routes) {
      auto meaning = meaning_of(route, marker);
      if (moves) anew.push_back(withdrawal_of(route));
      if (!meaning || (!moves && meaning->marks.profile == profile)) continue;
      if (meaning->rule) {
        if (auto made = route_for(*meaning->rule); made.ok()) anew.push_back(std::move(*made));
      } else if (auto flow = decode_nlri(route.family, route.nlri); flow.ok()) {
        meaning->marks.profile = profile;
        anew.push_back(flow_route(options.announcement, *flow, meaning->marks));
      }
    }
    return {};
  }

  // What the routes of a family need to be in force.
  struct Reach {
    std::string missing;  // of all of them
    Announced announced;
  };
  base::Result<Reach> reach(model::Family family) {
    Reach out{why_not_in_force(peers, options.peers, family, options.kind), {}};
    if (!out.missing.empty()) return out;
    for (const model::IpAddress& peer : receivers(peers, options.peers, family, options.kind)) {
      auto routes = speaker.announced(peer, family, options.kind);
      if (!routes) return routes.error();
      out.announced.emplace(peer, std::move(*routes));
    }
    return out;
  }
  std::string why_not(const std::map<model::Family, Reach>& reaches, const SeenRoute& route) const {
    const Reach& reach = reaches.at(route.family);
    if (!reach.missing.empty()) return reach.missing;
    return why_not_announced(reach.announced, !options.peers.empty(), route);
  }
};

GobgpMitigator::GobgpMitigator(GobgpOptions options) : state_(std::make_unique<State>(std::move(options))) {}
GobgpMitigator::~GobgpMitigator() = default;

ports::MitigatorAbilities GobgpMitigator::abilities() const {
  const bool flow = state_->options.kind == RouteKind::flow;
  return {.name = flow ? "gobgp-flowspec" : "gobgp-rtbh",
          .counts = false,
          .limits = flow,
          .drops_really = true,
          .filters = flow,
          .scoped = flow,
          .exempts = false,
          .confirms = true};
}

base::Result<void> GobgpMitigator::open() {
  if (auto connected = state_->speaker.connect(); !connected) return connected;
  auto peers = state_->speaker.peers();
  if (!peers) return peers.error();
  state_->peers = std::move(*peers);
  if (!state_->options.only_look) {
    if (auto renewed = state_->renew(); !renewed) return renewed;
  }
  state_->open = true;
  return {};
}

ports::Applied GobgpMitigator::apply(const std::vector<RuleChange>& changes) {
  if (changes.empty()) return {};
  if (!state_->open) return MitigatorFault{"not open", RefusalReason::hardware};
  std::vector<Route> routes;
  for (const RuleChange& change : changes) {
    if (change.kind == RuleChange::Kind::remove) {
      if (auto route = state_->withdrawal_for(change.rule); !route.nlri.empty()) routes.push_back(std::move(route));
      continue;
    }
    auto route = state_->route_for(change.rule);
    if (!route) return route.error();
    if (auto cut = state_->cuts_session(model::to_string(change.rule), flow_of(change.rule.match))) return *cut;
    routes.push_back(std::move(*route));
  }
  if (auto sent = state_->speaker.send(routes); !sent) return away(sent.error());
  return {};
}

ports::Applied GobgpMitigator::apply_filters(const std::vector<ports::FilterChange>& changes) {
  if (changes.empty()) return {};
  State& state = *state_;
  if (!abilities().filters)
    return MitigatorFault{"a blackhole route takes no lists of filters", RefusalReason::function};
  if (!state.open) return MitigatorFault{"not open", RefusalReason::hardware};

  // All of them first: a bad list changes nothing. The last word about a list counts.
  struct Wanted {
    FilterListKey key;
    std::map<Place, std::pair<Route, Marks>> routes;
    std::optional<std::string> digest;
    bool needs_routes = false;
  };
  std::map<std::uint64_t, Wanted> wanted;
  for (const ports::FilterChange& change : changes) {
    const auto of_unnamed = mark_of_unnamed(change.key);
    // Somebody has it by now: what had no name is not there any more.
    if (of_unnamed && (state.names.contains(*of_unnamed) || wanted.contains(*of_unnamed))) continue;
    const std::uint64_t mark = of_unnamed.value_or(mark_of(change.key));
    Wanted& one = wanted[mark];
    one = {change.key, {}, std::nullopt, false};
    if (!change.list) continue;
    if (change.list->key != change.key) {
      return MitigatorFault{model::to_string(change.key) + ": the list has another key", RefusalReason::function};
    }
    auto entries = compile(*change.list);
    if (!entries) return entries.error();
    one.digest = model::digest_of(*change.list);
    for (const FlowEntry& entry : *entries) {
      if (auto cut = state.cuts_session(model::to_string(change.key), entry.flow)) return *cut;
    }
    one.needs_routes = !entries->empty();
    for (const FlowEntry& entry : *entries) {
      Marks marks{.action = entry.limit_bps ? model::RuleAction::limit : model::RuleAction::drop,
                  .rate_limit_bps = entry.limit_bps.value_or(0),
                  .profile = profile_of(state.options.announcement),
                  .list = Marks::OfList{mark, *one.digest, static_cast<std::uint32_t>(entries->size())}};
      Route route = flow_route(state.options.announcement, entry.flow, marks);
      const Place place{route.family, route.nlri};
      one.routes.insert_or_assign(place, std::make_pair(std::move(route), std::move(marks)));
    }
  }

  const auto seen = state.seen();
  if (!seen) return away(seen.error());
  std::vector<Route> withdrawals;
  for (const SeenRoute& route : *seen) {
    const auto meaning = state.meaning_of(route);
    if (!meaning || !meaning->marks.list) continue;
    const auto found = wanted.find(meaning->marks.list->key);
    if (found == wanted.end()) continue;
    const auto same = found->second.routes.find({route.family, route.nlri});
    if (same == found->second.routes.end()) {
      withdrawals.push_back(withdrawal_of(route));
    } else if (same->second.second == meaning->marks) {
      found->second.routes.erase(same);  // it stands there already
    }
  }
  std::vector<Route> routes;
  for (auto& [mark, one] : wanted) {
    for (auto& [place, made] : one.routes) routes.push_back(std::move(made.first));
  }
  routes.insert(routes.end(), withdrawals.begin(), withdrawals.end());
  if (auto sent = state.speaker.send(routes); !sent) return away(sent.error());
  for (const auto& [mark, one] : wanted) {
    state.empty.erase(one.key);
    state.names.erase(mark);
    if (one.digest) state.names[mark] = one.key;
    if (one.digest && !one.needs_routes) state.empty[one.key] = *one.digest;
  }
  return {};
}

base::Result<void> GobgpMitigator::exempt(const std::vector<ports::SignalExemption>&) {
  return state_->open ? base::Result<void>{} : base::Error{"not open"};
}

base::Result<ports::Mitigator::Listing> GobgpMitigator::list() {
  State& state = *state_;
  const auto seen = state.seen();
  if (!seen) return seen.error();
  auto peers = state.speaker.peers();
  if (!peers) return peers.error();
  state.peers = std::move(*peers);

  Listing listing;
  listing.links = links_of(state.peers, state.options.peers, state.options.kind);
  // Asked for after the routes, so that what is not announced was there when it was asked for.
  std::map<model::Family, State::Reach> reaches;
  for (const SeenRoute& route : *seen) {
    if (reaches.contains(route.family)) continue;
    auto reach = state.reach(route.family);
    if (!reach) return reach.error();
    reaches.emplace(route.family, std::move(*reach));
  }
  struct OfList {
    std::set<std::string> digests;
    std::uint32_t routes = 0, of = 0;
    std::string not_in_force;  // of the first route that is not
  };
  std::map<std::uint64_t, OfList> lists;
  for (const SeenRoute& route : *seen) {
    const auto meaning = state.meaning_of(route);
    if (!meaning) {
      listing.foreign.push_back(to_string(route));
    } else if (meaning->rule) {
      listing.rules.push_back({*meaning->rule, {}, state.why_not(reaches, route)});
    } else {
      OfList& list = lists[meaning->marks.list->key];
      list.digests.insert(meaning->marks.list->digest);
      list.of = meaning->marks.list->routes;
      ++list.routes;
      if (list.not_in_force.empty()) list.not_in_force = state.why_not(reaches, route);
    }
  }
  for (const auto& [mark, list] : lists) {
    const auto name = state.names.find(mark);
    const bool whole = list.digests.size() == 1 && list.routes == list.of;
    listing.filters.push_back({name == state.names.end() ? unnamed(mark) : name->second,
                               whole ? *list.digests.begin() : std::string(),
                               {},
                               list.not_in_force});
  }
  // Lists that need no route are there as soon as they were taken.
  for (const auto& [key, digest] : state.empty) listing.filters.push_back({key, digest, {}, {}});
  return listing;
}

base::Result<std::vector<std::string>> GobgpMitigator::remove_foreign() {
  const auto seen = state_->seen();
  if (!seen) return seen.error();
  std::vector<std::string> names;
  std::vector<Route> routes;
  for (const SeenRoute& route : *seen) {
    if (state_->meaning_of(route)) continue;
    names.push_back(to_string(route));
    routes.push_back(withdrawal_of(route));
  }
  if (auto sent = state_->speaker.send(routes); !sent) return sent.error();
  return names;
}

base::Result<void> GobgpMitigator::clear() {
  if (auto connected = state_->speaker.connect(); !connected) return connected;
  std::vector<Marker> markers = state_->options.former_markers;
  markers.push_back(state_->options.announcement.marker);
  std::vector<Route> routes;
  for (const Marker& marker : markers) {
    const auto seen = state_->speaker.routes(state_->options.kind, marker);
    if (!seen) return seen.error();
    for (const SeenRoute& route : *seen) routes.push_back(withdrawal_of(route));
  }
  if (auto sent = state_->speaker.send(routes); !sent) return sent;
  state_->open = false;
  state_->names.clear();
  state_->empty.clear();
  return {};
}

}  // namespace dots::adapters::mitigators::gobgp
