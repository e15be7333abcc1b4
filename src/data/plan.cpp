// POST, PUT, PATCH and DELETE: what a request wants to write, without writing it (RFC 8040 4.4 to 4.7, RFC 8783 5 to
// 7).
#include <algorithm>
#include <span>

#include "data/machine.h"
#include "data/reading.h"

namespace dots::data {
namespace {

constexpr std::size_t kEntryStep = kEntryLevel - 1;  // index of the alias or the list in a path

const Node& list_of(Kind kind) { return node(kind == Kind::alias ? NodeId::alias : NodeId::acl); }
const Node& container_of(Kind kind) { return node(kind == Kind::alias ? NodeId::aliases : NodeId::acls); }

Fault bad(std::string message) { return fault::protocol(400, "invalid-value", std::move(message)); }
Fault already(const Node& of) { return fault::exists("this " + std::string(of.name) + " is already there", of.path()); }

// The local name of the member that a body holds.
std::string_view body_member(const wire::JsonValue& body) {
  for (const auto& [name, value] : body.members) {
    if (!name.empty() && name.front() != '@') return std::string_view(name).substr(name.find(':') + 1);
  }
  return {};
}

Reading reading(const Options& options) { return {&options.capabilities, false}; }

// What cannot be there together with `stays` (RFC 7950 7.9).
void drop_other_cases(Instance& parent, const Node& stays) {
  std::erase_if(parent.children, [&](const Instance& child) {
    return !stays.choice.empty() && child.node->choice == stays.choice && child.node->choice_case != stays.choice_case;
  });
}

// The one instance that the body of a PUT or PATCH holds for its own target.
Checked<Instance> read_target(const Edit& edit, const Options& options) {
  const Step& target = edit.target.steps.back();
  const Node& parent = target.node->parent == NodeId::none ? datastore() : node(target.node->parent);
  auto instances = read_body(parent, *edit.body, reading(options));
  if (!instances) return instances.error();
  if (instances->front().node != target.node)
    return fault::unknown_element("the body holds another node than the URI names");
  if (instances->size() != 1) return bad("the body must hold exactly one entry");
  return std::move(instances->front());
}

// RFC 8040 4.5: a PUT or PATCH cannot rename.
Checked<void> same_keys(const Instance& body, const Step& target) {
  if (!body.node->is_many()) return {};
  for (const Node* key : body.node->keys()) {
    if (body.find(key->id) == nullptr) return fault::missing(std::string(key->name) + " is missing", body.node->path());
  }
  if (has_keys(body, target.keys)) return {};
  return bad("the key in the body is not that of the URI");
}

// Where the query wants a new entry of `list` below `parent`.
Checked<Placement> placement_for(const Query& query, const Node& list, std::span<const Step> parent) {
  Placement placement = query.placement;
  if (placement.where == Placement::Where::unsaid) return placement;
  if (!list.user_ordered) return bad("insert only fits entries that the client orders");
  if (!query.point) return placement;
  const auto& point = *query.point;
  const bool beside = point.size() == parent.size() + 1 && std::equal(parent.begin(), parent.end(), point.begin()) &&
                      point.back().node == &list && !point.back().keys.empty();
  if (!beside) return bad("point names no entry of the same list");
  placement.point = point.back().keys;
  return placement;
}

}  // namespace

Checked<Work> Domain::State::plan(const Edit& edit) const {
  const auto& steps = edit.target.steps;
  if (edit.body == nullptr && edit.method != "DELETE") return bad("the request needs a body");
  if (steps.size() == 0) return already(node(NodeId::dots_data));
  if (steps.size() == 1) {
    if (edit.method == "POST") {
      auto bodies = read_body(node(NodeId::dots_data), *edit.body, reading(options));
      if (!bodies) return bodies.error();
      // A registration of several clients is refused as a whole (RFC 8783 5.1, A8783-06).
      if (bodies->size() != 1) return bad("exactly one dots-client can be registered at a time");
      return plan_registration(edit, bodies->front());
    }
    auto body = read_target(edit, options);  // PATCH
    if (!body) return body.error();
    if (body->children.size() != 1) return bad("the body must hold exactly one dots-client");
    return plan_registration(edit, body->children.front());
  }
  const base::Cuid cuid(steps[1].keys.front());
  if (steps.size() == 2) return plan_client(edit, cuid);
  const Client* client = own(cuid.value, edit.asker);
  // A gateway that may name the clients behind it has to register them first (RFC 8783 6.1, 7.2).
  if (edit.asker.gateway && (client == nullptr || !client->record.cdid)) {
    return Fault{403, "access-denied", "this client was not registered with a cdid"};
  }
  if (client == nullptr) return fault::not_found("there is no such dots-client");
  const Kind kind = steps[2].node->id == NodeId::aliases ? Kind::alias : Kind::acl;
  if (steps.size() == 3) return plan_collection(edit, *client, kind);
  if (steps.size() == kEntryStep + 1) return plan_entry(edit, *client, kind);
  return plan_inside(edit, *client, kind);
}

Checked<Work> Domain::State::plan_registration(const Edit& edit, const Instance& body) const {
  if (body.find(NodeId::cuid) == nullptr) return fault::missing("cuid is missing", body.node->path() + "/cuid");
  const base::Cuid cuid(*body.leaf(NodeId::cuid));
  const auto known = clients.find(cuid);
  const bool foreign = known != clients.end() && known->second.record.client != edit.asker.client;
  const auto on_signal_channel = options.cuid_owner ? options.cuid_owner(cuid) : std::nullopt;
  if (foreign || (on_signal_channel && *on_signal_channel != edit.asker.client)) {
    return fault::exists("this cuid is used by another client; choose another one", body.node->path());
  }
  const Client* client = known == clients.end() ? nullptr : &known->second;
  if (client != nullptr && edit.method == "POST") return already(*body.node);

  Work work;
  work.cuid = cuid;
  ports::DataClientRecord record = client != nullptr ? client->record : ports::DataClientRecord{};
  record.domain = domain();
  record.cuid = cuid;
  record.client = edit.asker.client;
  // A cdid counts from a gateway alone; a client's own is not even stored (RFC 9132 4.4.1.2).
  const std::string* cdid = edit.asker.gateway ? body.leaf(NodeId::cdid) : nullptr;
  if (cdid != nullptr) record.cdid = *cdid;
  if (client == nullptr || record != client->record) work.registration = record;
  work.status = client == nullptr ? 201 : 204;
  work.location = {{&node(NodeId::dots_data), {}}, {&node(NodeId::dots_client), {cuid.value}}};

  const Collection nobody;
  for (const Kind kind : {Kind::alias, Kind::acl}) {
    // Without aliases or acls in it, a repeated registration leaves them as they are (A8783-07).
    const Instance* container = body.find(container_of(kind).id);
    if (container == nullptr) continue;
    plan_entries(edit, client == nullptr ? nobody : client->of(kind), kind, *container, work);
  }
  return work;
}

// The entries of a whole container: PUT replaces the set, PATCH merges each.
void Domain::State::plan_entries(const Edit& edit, const Collection& known, Kind kind, const Instance& container,
                                 Work& work) {
  const bool replaces = edit.method == "PUT";
  std::vector<std::string> names;
  for (const Instance& child : container.children) {
    names.push_back(keys_of(child).front());
    Draft draft{kind, child, {}};
    const Entry* entry = known.find(names.back());
    if (!replaces && entry != nullptr) {
      draft.config = config_of(*entry);
      merge(draft.config, child);
    }
    work.put.push_back(std::move(draft));
  }
  if (!replaces) return;
  const std::set<std::string> named(names.begin(), names.end());
  std::vector<std::string> kept;
  for (const auto& [rank, entry] : known.order) {
    if (named.count(entry->record.key.name) > 0) {
      kept.push_back(entry->record.key.name);
    } else {
      work.erase.emplace_back(kind, entry->record.key.name);
    }
  }
  // Lists stand in the order of the body; where that is their order already, nothing moves.
  if (kind == Kind::alias || std::equal(kept.begin(), kept.end(), names.begin())) return;
  for (auto draft = work.put.end() - static_cast<std::ptrdiff_t>(names.size()); draft != work.put.end(); ++draft) {
    draft->placement.where = Placement::Where::last;
  }
}

Checked<Work> Domain::State::plan_client(const Edit& edit, const base::Cuid& cuid) const {
  const Client* client = own(cuid.value, edit.asker);
  if (edit.method == "DELETE") {
    if (client == nullptr) return fault::not_found("there is no such dots-client");
    Work work;
    work.cuid = cuid;
    work.deregister = true;
    return work;
  }
  if (edit.method == "POST") {
    if (edit.asker.gateway && (client == nullptr || !client->record.cdid)) {
      return Fault{403, "access-denied", "this client was not registered with a cdid"};
    }
    if (client == nullptr) return fault::not_found("there is no such dots-client");
    // The container is always there; what is created are its entries (A8783-04).
    auto bodies = read_body(node(NodeId::dots_client), *edit.body, reading(options));
    if (!bodies) return bodies.error();
    const Node& child = *bodies->front().node;
    if (child.id != NodeId::aliases && child.id != NodeId::acls) return already(child);
    const Kind kind = child.id == NodeId::aliases ? Kind::alias : Kind::acl;
    const auto& entries = bodies->front().children;
    if (entries.empty()) {
      return fault::missing("there is no " + std::string(list_of(kind).name) + " in the body", child.path());
    }
    std::vector<Step> parent = edit.target.steps;
    parent.push_back({&child, {}});
    auto placement = placement_for(edit.query, list_of(kind), parent);
    if (!placement) return placement.error();
    if (placement->where != Placement::Where::unsaid && entries.size() > 1) return bad("insert places one entry only");
    Work work;
    work.cuid = cuid;
    work.status = 201;
    for (const Instance& entry : entries) {
      if (client->of(kind).find(keys_of(entry).front()) != nullptr) return already(*entry.node);
      work.put.push_back({kind, entry, *placement});
    }
    work.location = std::move(parent);
    work.location.push_back({&list_of(kind), keys_of(entries.front())});
    return work;
  }
  auto body = read_target(edit, options);
  if (!body) return body.error();
  if (auto same = same_keys(*body, edit.target.steps.back()); !same) return same.error();
  if (edit.method == "PATCH" && client == nullptr) return fault::not_found("there is no such dots-client");
  return plan_registration(edit, *body);
}

Checked<Work> Domain::State::plan_collection(const Edit& edit, const Client& client, Kind kind) const {
  Work work;
  work.cuid = client.record.cuid;
  const Collection& known = client.of(kind);
  if (edit.method == "POST") {
    auto bodies = read_body(container_of(kind), *edit.body, reading(options));
    if (!bodies) return bodies.error();
    if (bodies->size() != 1) return bad("the body must hold exactly one entry");
    Instance& entry = bodies->front();
    if (known.find(keys_of(entry).front()) != nullptr) return already(*entry.node);
    auto placement = placement_for(edit.query, *entry.node, edit.target.steps);
    if (!placement) return placement.error();
    work.status = 201;
    work.location = edit.target.steps;
    work.location.push_back({entry.node, keys_of(entry)});
    work.put.push_back({kind, std::move(entry), *placement});
    return work;
  }
  auto body = read_target(edit, options);
  if (!body) return body.error();
  plan_entries(edit, known, kind, *body, work);
  return work;
}

Checked<Work> Domain::State::plan_entry(const Edit& edit, const Client& client, Kind kind) const {
  const Step& step = edit.target.steps.back();
  const Entry* entry = client.of(kind).find(step.keys.front());
  if (entry == nullptr && edit.method != "PUT")
    return fault::not_found("there is no such " + std::string(step.node->name));
  if (edit.method == "POST") return plan_inside(edit, client, kind);
  Work work;
  work.cuid = client.record.cuid;
  if (edit.method == "DELETE") {
    work.erase.emplace_back(kind, step.keys.front());
    return work;
  }
  // RFC 8040 wants the entry itself, RFC 8783 prints it in its container: both are taken (A8783-01).
  const bool wrapped = edit.body->is_object() && body_member(*edit.body) == container_of(kind).name;
  auto bodies = read_body(wrapped ? node(NodeId::dots_client) : container_of(kind), *edit.body, reading(options));
  if (!bodies) return bodies.error();
  std::vector<Instance>& entries = wrapped ? bodies->front().children : *bodies;
  if (entries.size() != 1 || entries.front().node != step.node)
    return bad("the body must hold exactly the entry of the URI");
  if (auto same = same_keys(entries.front(), step); !same) return same.error();
  Draft draft{kind, std::move(entries.front()), {}};
  if (edit.method == "PATCH") {
    Instance merged = config_of(*entry);
    merge(merged, draft.config);
    draft.config = std::move(merged);
  } else {
    auto placement = placement_for(edit.query, *step.node, std::span(edit.target.steps).first(kEntryStep));
    if (!placement) return placement.error();
    draft.placement = *placement;
    work.status = entry == nullptr ? 201 : 204;
    if (entry == nullptr) work.location = edit.target.steps;
  }
  work.put.push_back(std::move(draft));
  return work;
}

Checked<Work> Domain::State::plan_inside(const Edit& edit, const Client& client, Kind kind) const {
  const auto& steps = edit.target.steps;
  const Entry* entry = client.of(kind).find(steps[kEntryStep].keys.front());
  if (entry == nullptr) return fault::not_found("there is no such " + std::string(steps[kEntryStep].node->name));
  Draft draft{kind, config_of(*entry), {}};
  Work work;
  work.cuid = client.record.cuid;

  // Down to the parent of the target (POST: to the target); containers without presence are made on the way.
  Instance* at = &draft.config;
  const std::size_t depth = edit.method == "POST" ? steps.size() : steps.size() - 1;
  for (std::size_t i = kEntryStep + 1; i < depth; ++i) {
    Instance* next = child_at(*at, steps[i]);
    const bool makeable =
        steps[i].node->kind == NodeKind::container && (edit.method == "PUT" || steps[i].node->choice.empty());
    if (next == nullptr && makeable && edit.method != "DELETE") {
      drop_other_cases(*at, *steps[i].node);
      next = &at->add(Instance(*steps[i].node));
    }
    if (next == nullptr) return fault::not_found("there is no such " + std::string(steps[i].node->name));
    at = next;
  }
  if (edit.method == "POST") {
    auto bodies = read_body(*at->node, *edit.body, reading(options));
    if (!bodies) return bodies.error();
    if (bodies->size() != 1) return bad("the body must hold exactly one entry");
    Instance& child = bodies->front();
    const Step step{child.node, child.node->is_many() ? keys_of(child) : std::vector<std::string>{}};
    if (child_at(*at, step) != nullptr) return already(*child.node);
    auto placement = placement_for(edit.query, *child.node, steps);
    if (!placement) return placement.error();
    work.status = 201;
    work.location = steps;
    work.location.push_back(step);
    drop_other_cases(*at, *child.node);
    if (!place(*at, std::move(child), *placement)) return bad("point names an entry that is not there");
  } else {
    const Step& target = steps.back();
    Instance* known = child_at(*at, target);
    if (known == nullptr && edit.method != "PUT")
      return fault::not_found("there is no such " + std::string(target.node->name));
    if (edit.method == "DELETE") {
      at->children.erase(at->children.begin() + (known - at->children.data()));
    } else {
      auto body = read_target(edit, options);
      if (!body) return body.error();
      if (auto same = same_keys(*body, target); !same) return same.error();
      if (edit.method == "PATCH") {
        merge(*known, *body);
      } else {
        auto placement = placement_for(edit.query, *target.node, std::span(steps).first(steps.size() - 1));
        if (!placement) return placement.error();
        if (known == nullptr) {
          work.status = 201;
          work.location = steps;
        }
        drop_other_cases(*at, *target.node);
        if (!place(*at, std::move(*body), *placement)) return bad("point names an entry that is not there");
      }
    }
  }
  work.put.push_back(std::move(draft));
  return work;
}

}  // namespace dots::data
