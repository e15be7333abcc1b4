#include "data/domain.h"

#include <algorithm>
#include <cassert>

#include "data/http.h"
#include "data/machine.h"
#include "data/reading.h"
#include "model/text.h"

namespace dots::data {
namespace {

// Of a body: an entry of a list has some 15, and each takes 100 bytes while it is read.
constexpr std::size_t kMostValues = 400000;

constexpr std::string_view kMethods[] = {"OPTIONS", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};

bool names(const std::string& allow, std::string_view method) {
  const std::string list = ", " + allow + ",";
  return list.find(", " + std::string(method) + ",") != std::string::npos;
}

bool is_edit(std::string_view method) {
  return method == "POST" || method == "PUT" || method == "PATCH" || method == "DELETE";
}

Fault loop(const ports::HttpRequest& request) {
  Fault fault{508, "operation-failed", "this request has been here before"};
  fault.type = "transport";
  fault.app_tag = "loop-detected";
  const std::string via = request.headers.joined("Via");
  if (model::is_plain_text(via)) fault.via = via;
  return fault;
}

}  // namespace

std::string allowed_methods(const Target& target) {
  const std::string read = "GET, HEAD, OPTIONS";
  if (target.kind != Target::Kind::data) return read;
  const auto& steps = target.steps;
  const Node& node = target.node();
  if (steps.empty()) return read + ", POST";
  if (node.state || steps[0].node->id != NodeId::dots_data) return read;
  if (node.is_many() && steps.back().keys.empty()) return read;
  switch (node.id) {
    case NodeId::dots_data:
      return read + ", POST, PATCH";
    case NodeId::cuid:
    case NodeId::cdid:
      return read;
    default:
      break;
  }
  if (node.key) return read;
  switch (node.kind) {
    case NodeKind::leaf:
    case NodeKind::leaf_list:
      return read + ", PUT, PATCH, DELETE";
    case NodeKind::list:
      return read + ", POST, PUT, PATCH, DELETE";
    case NodeKind::container:
      break;
  }
  // One DELETE removes one entry of a list at most (RFC 8040 4.7).
  const bool holds_list =
      std::any_of(node.children.begin(), node.children.end(), [](const Node* c) { return c->is_list(); });
  return read + (holds_list ? ", POST, PUT, PATCH" : ", POST, PUT, PATCH, DELETE");
}

ports::HttpAnswer unavailable() {
  ports::HttpAnswer answer =
      error_answer(fault::protocol(503, "operation-failed", "the change could not be stored; nothing was changed"));
  answer.headers.add("Retry-After", "5");
  return answer;
}

Domain::Domain(std::shared_ptr<const policy::DomainRules> rules, Options options) : state_(std::make_unique<State>()) {
  state_->rules = std::move(rules);
  state_->options = std::move(options);
  state_->options.lifetime = std::max<base::Duration>(state_->options.lifetime, std::chrono::minutes{10080});
}
Domain::~Domain() = default;
Domain::Domain(Domain&&) noexcept = default;
Domain& Domain::operator=(Domain&&) noexcept = default;

void Domain::set_rules(std::shared_ptr<const policy::DomainRules> rules) { state_->rules = std::move(rules); }

std::vector<Event> Domain::load(const ports::Snapshot& snapshot, base::Now now) {
  State fresh;
  fresh.rules = state_->rules;
  fresh.options = state_->options;
  fresh.revision = state_->revision;  // numbers that were given out before a refused commit are not used again
  fresh.filters_version = state_->filters_version + 1;
  std::map<ports::DataEntryKey, std::map<std::string, std::pair<std::uint64_t, std::uint64_t>>> counted;
  for (const auto& [cuid, client] : state_->clients) {
    for (const auto& [name, entry] : client.acls.by_name) {
      if (!entry->counted.empty()) counted[entry->record.key] = entry->counted;
    }
  }
  *state_ = std::move(fresh);
  State& state = *state_;
  std::vector<Event> events;
  for (const ports::DataClientRecord& record : snapshot.data_clients) {
    if (record.domain != state.domain()) continue;
    state.clients[record.cuid].record = record;
    auto& view = state.views[record.client];
    if (view.revision < record.version.revision) view = record.version;
    state.revision = std::max(state.revision, record.version.revision);
  }
  const base::WallTime wall = std::max(now.wall, snapshot.last_commit);
  for (const ports::DataEntryRecord& record : snapshot.data_entries) {
    if (record.key.domain != state.domain()) continue;
    const auto owner = state.clients.find(record.key.cuid);
    const bool alias = record.key.kind == Kind::alias;
    const std::string what =
        std::string(alias ? "alias " : "list ") + record.key.name + " of cuid " + record.key.cuid.value;
    const auto unreadable = [&](const std::string& why) {
      const base::ClientId client = owner == state.clients.end() ? base::ClientId{} : owner->second.record.client;
      events.push_back({Event::Kind::unreadable, client, record.key.cuid, record.key.name, false, what + ": " + why});
    };
    if (owner == state.clients.end()) {
      unreadable("its client is not registered");
      continue;
    }
    const Node& list = node(alias ? NodeId::alias : NodeId::acl);
    const auto json = wire::parse_json(record.body, {.bytes = SIZE_MAX, .values = SIZE_MAX});
    if (!json) {
      unreadable(json.error().message);
      continue;
    }
    const auto config = read_members(list, *json, {nullptr, true}, {});
    Checked<void> complete = config ? check_complete(*config, {}) : Checked<void>(config.error());
    if (!complete) {
      unreadable(complete.error().message);
      continue;
    }
    std::shared_ptr<const model::Filter> filter;
    std::vector<std::string> matches;
    if (!alias) {
      auto read = to_filter(*config, {}, state.options.filter_rules);
      if (!read) {
        unreadable(read.error().message);
        continue;
      }
      filter = std::make_shared<const model::Filter>(std::move(*read));
      matches = State::matches_of(*config);
    } else if (const auto read = to_alias(*config, {}); !read) {
      unreadable(read.error().message);
      continue;
    }
    const base::Duration left =
        std::clamp<base::Duration>(record.expires - wall, base::Duration::zero(), record.granted);
    Entry& entry = state.insert(owner->second, record, std::move(filter), std::move(matches), now.steady + left);
    if (const auto known = counted.find(record.key); known != counted.end()) entry.counted = std::move(known->second);
    state.revision = std::max(state.revision, record.version.revision);
  }
  return events;
}

Outcome Domain::request(const ports::HttpRequest& request, const Asker& asker, base::Now now) {
  State& state = *state_;
  Outcome outcome;
  const auto refuse = [&](const Fault& fault, Event::Kind kind = Event::Kind::refused) {
    outcome.answer = error_answer(fault);
    outcome.changes.clear();
    outcome.events.push_back(
        {kind,
         asker.client,
         {},
         {},
         false,
         printable(request.method + " answered " + std::to_string(fault.status) + ": " + fault.message)});
    return std::move(outcome);
  };
  if (via_names(request.headers, state.options.own_names)) return refuse(loop(request), Event::Kind::looped);
  const std::string_view method = request.method;
  if (std::find(std::begin(kMethods), std::end(kMethods), method) == std::end(kMethods)) {
    return refuse(fault::protocol(501, "operation-not-supported", "this method is not known"));
  }
  if (request.target == "*") {
    if (method != "OPTIONS") return refuse(fault::protocol(400, "invalid-value", "'*' is for OPTIONS only"));
    outcome.answer = answer_of(204);
    outcome.answer.headers.add("Allow", "GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE");
    return outcome;
  }
  const std::string_view whole = request.target;
  const std::size_t mark = whole.find('?');
  auto target = parse_target(whole.substr(0, mark), state.options.root);
  if (!target) return refuse(target.error());

  const std::string allow = allowed_methods(*target);
  if (method == "OPTIONS") {
    outcome.answer = answer_of(204);
    outcome.answer.headers.add("Allow", allow);
    outcome.answer.headers.add("Accept-Patch", std::string(kYangJson));
    return outcome;
  }
  if (!names(allow, method)) {
    Outcome refused = refuse(fault::protocol(405, "operation-not-supported", "this resource takes " + allow + " only"));
    refused.answer.headers.add("Allow", allow);
    return refused;
  }
  using TargetKind = Target::Kind;
  const bool meta = target->kind == TargetKind::host_meta || target->kind == TargetKind::host_meta_json;
  const bool xrd = target->kind == TargetKind::host_meta && accepts(request.headers, "application/xrd+xml");
  const bool jrd = meta && !xrd && accepts(request.headers, "application/json");
  if (meta ? !xrd && !jrd : !accepts(request.headers, kYangJson)) {
    return refuse(fault::protocol(406, "invalid-value", "none of the types in Accept is offered"));
  }
  if (meta) {
    if (mark != std::string_view::npos) return refuse(fault::protocol(400, "invalid-value", "no query belongs here"));
    outcome.answer = host_meta(state.options.root, jrd);
    return outcome;
  }
  auto query =
      parse_query(mark == std::string_view::npos ? std::string_view{} : whole.substr(mark + 1), target->node());
  if (!query) return refuse(query.error());
  query->selection.qualified_identities = state.options.qualified_identities;
  if (target->kind != TargetKind::data) {
    const bool asks = query->selects || query->point || query->placement.where != Placement::Where::unsaid;
    if (asks) return refuse(fault::protocol(400, "invalid-value", "no query belongs here"));
    outcome.answer = json_answer(api_body(target->kind));
    return outcome;
  }
  if (!is_edit(method)) {
    auto answer = state.retrieve(*target, *query, request, asker, now);
    if (!answer) return refuse(answer.error());
    outcome.answer = std::move(*answer);
    return outcome;
  }

  if (query->selects)
    return refuse(fault::protocol(400, "invalid-value", "content, depth and fields are for GET and HEAD"));
  const bool places = query->placement.where != Placement::Where::unsaid;
  if (places && method != "POST" && method != "PUT") {
    return refuse(fault::protocol(400, "invalid-value", "insert and point are for POST and PUT"));
  }
  std::optional<wire::JsonValue> body;
  if (method != "DELETE" && request.body.size() > state.options.limits.request_bytes) {
    return refuse(fault::protocol(
        413, "too-big", "the body is larger than " + std::to_string(state.options.limits.request_bytes) + " bytes"));
  }
  if (method != "DELETE" && !request.body.empty()) {
    if (!has_type(request.headers, kYangJson)) {
      return refuse(fault::protocol(415, "invalid-value", "the body must be " + std::string(kYangJson)));
    }
    auto parsed = wire::parse_json(request.body, {.bytes = state.options.limits.request_bytes, .values = kMostValues});
    if (!parsed) {
      Fault fault = fault::protocol(400, "malformed-message", parsed.error().message);
      fault.type = "rpc";
      return refuse(fault);
    }
    body = std::move(*parsed);
  }
  const Edit edit{method, *target, *query, body ? &*body : nullptr, asker};
  auto work = state.plan(edit);
  if (!work) return refuse(work.error());
  if (auto good = state.check(*work, asker, outcome.events); !good) return refuse(good.error());
  for (const Draft& draft : work->put) {
    if (draft.placement.point.empty()) continue;
    const auto client = state.clients.find(work->cuid);
    const bool there = client != state.clients.end() && draft.placement.point.front() != draft.name &&
                       client->second.of(draft.kind).find(draft.placement.point.front()) != nullptr;
    if (!there) return refuse(fault::protocol(400, "invalid-value", "point names an entry that is not there"));
  }
  // Preconditions count when the request would succeed without them (RFC 9110 13.2.1).
  const auto before = state.version_of(target->steps, asker);
  // What PUT would create is not there, though a leaf may have a default value.
  const bool there = before && !(method == "PUT" && work->status == 201);
  if (evaluate(request.headers, there ? before : std::nullopt, false) != Precondition::holds) {
    Outcome refused = refuse(fault::protocol(412, "operation-failed", "the resource is another version"));
    if (there) add_version(refused.answer, *before);
    return refused;
  }
  state.apply(*work, "client " + asker.client.value, request.method, now, outcome, asker.credential);
  const bool created = work->status == 201 && method != "PATCH";
  outcome.answer = answer_of(created ? 201 : 204);
  if (created) outcome.answer.headers.add("Location", state.options.root + "/data" + to_path(work->location));
  const auto& shown = created ? work->location : target->steps;
  if (const auto after = state.version_of(shown, asker)) add_version(outcome.answer, *after);
  return outcome;
}

std::optional<base::SteadyTime> Domain::next_deadline() const {
  if (state_->deadlines.empty()) return std::nullopt;
  return state_->deadlines.begin()->first;
}

Outcome Domain::tick(base::Now now) {
  State& state = *state_;
  Outcome outcome;
  for (std::size_t i = 0; i < state.options.limits.expired_at_once && !state.deadlines.empty(); ++i) {
    const auto [deadline, entry] = *state.deadlines.begin();
    if (deadline > now.steady) break;
    Client& client = *entry->client;
    const ports::DataEntryKey key = entry->record.key;
    const base::ClientId owner = client.record.client;
    const ports::DataVersion version{++state.revision, now.wall};
    state.erase(client, key.kind, key.name);
    State::touch(client, key.kind, version);
    state.views[owner] = version;
    outcome.changes.emplace_back(ports::EraseDataEntry{key, version});
    const std::string text = "it was not refreshed in time";
    outcome.changes.emplace_back(ports::AppendAudit{
        {now.wall, state.domain(), "server", "expire",
         "cuid=" + key.cuid.value + (key.kind == Kind::alias ? " alias=" : " acl=") + key.name, "removed", text}});
    outcome.events.push_back({Event::Kind::expired, owner, key.cuid,
                              (key.kind == Kind::alias ? "alias=" : "acl=") + key.name, key.kind == Kind::acl, text});
  }
  return outcome;
}

std::optional<model::Alias> Domain::alias(const base::ClientId& client, const base::Cuid& cuid,
                                          const std::string& name) const {
  const auto known = state_->clients.find(cuid);
  if (known == state_->clients.end() || known->second.record.client != client) return std::nullopt;
  const Entry* entry = known->second.aliases.find(name);
  if (entry == nullptr) return std::nullopt;
  auto alias = to_alias(State::config_of(*entry), {});
  assert(alias);
  return std::move(*alias);
}

std::optional<base::ClientId> Domain::owner_of(const base::Cuid& cuid) const {
  const auto known = state_->clients.find(cuid);
  if (known == state_->clients.end()) return std::nullopt;
  return known->second.record.client;
}

std::optional<Outcome> Domain::release(const base::Cuid& cuid, const std::string& actor, base::Now now) {
  if (state_->clients.find(cuid) == state_->clients.end()) return std::nullopt;
  Work work;
  work.cuid = cuid;
  work.deregister = true;
  Outcome outcome;
  state_->apply(work, actor, "release-cuid", now, outcome);
  return outcome;
}

std::vector<EffectiveFilter> Domain::effective(const std::function<bool(const base::Cuid&)>& mitigating) const {
  std::vector<EffectiveFilter> filters;
  std::vector<std::int64_t> ranks;
  for (const auto& [cuid, client] : state_->clients) {
    if (client.acls.order.empty()) continue;
    const bool active = mitigating(cuid);
    ranks.clear();
    for (const auto& [rank, entry] : client.acls.order) ranks.push_back(rank);
    const auto places = places_of(ranks);
    std::size_t at = 0;
    for (const auto& [rank, entry] : client.acls.order) {
      const std::uint32_t place = places[at++];
      const model::ActivationType type = entry->filter->activation;
      const bool on = type == model::ActivationType::immediate ||
                      (type == model::ActivationType::activate_when_mitigating && active);
      if (on) filters.push_back({client.record.client, cuid, entry->filter, place});
    }
  }
  return filters;
}

std::uint64_t Domain::filters_version() const { return state_->filters_version; }

void Domain::count(const base::Cuid& cuid, const std::string& acl, const std::string& ace, std::uint64_t packets,
                   std::uint64_t octets) {
  const auto client = state_->clients.find(cuid);
  Entry* entry = client == state_->clients.end() ? nullptr : client->second.acls.find(acl);
  if (entry == nullptr) return;
  if (entry->names_of != entry->filter) {
    entry->names.clear();
    entry->names_of = entry->filter;
    for (const model::FilterEntry& one : entry->filter->entries) entry->names.insert(one.name);
  }
  if (!entry->names.contains(ace)) return;
  auto& [counted_packets, counted_octets] = entry->counted[ace];
  counted_packets += packets;
  counted_octets += octets;
}

std::vector<FilterView> Domain::filters() const {
  std::vector<FilterView> views;
  for (const auto& [cuid, client] : state_->clients) {
    for (const auto& [rank, entry] : client.acls.order) {
      views.push_back({client.record.client, cuid, entry->filter, entry->deadline});
    }
  }
  return views;
}

}  // namespace dots::data
