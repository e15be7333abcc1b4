// GET and HEAD: from the state to instances, versions and answers (RFC 8040 4.3, RFC 8783 6.2, 7.3).
#include <algorithm>
#include <cassert>
#include <span>

#include "data/http.h"
#include "data/machine.h"
#include "data/reading.h"

namespace dots::data {
namespace {

// Whole minutes, rounded up: what was just granted shows in full, what is still there shows at least 1.
std::string minutes_left(base::SteadyTime deadline, base::Now now) {
  const base::Duration left = std::max(deadline - now.steady, base::Duration::zero());
  return std::to_string((left + std::chrono::minutes{1} - base::Duration{1}) / std::chrono::minutes{1});
}

Fault missing(const Node& node) { return fault::not_found("there is no such " + std::string(node.name)); }

// What `steps` name below `from`, the first step being its own.
Checked<std::vector<Instance>> descend(Instance from, std::span<const Step> steps) {
  std::vector<Instance> at;
  at.push_back(std::move(from));
  for (const Step& step : steps.subspan(1)) {
    Instance& parent = at.front();
    std::vector<Instance> next;
    if (step.node->is_many() && step.keys.empty()) {
      for (Instance& child : parent.children) {
        if (child.node == step.node) next.push_back(std::move(child));
      }
      if (next.empty()) return missing(*step.node);
    } else if (Instance* child = child_at(parent, step)) {
      next.push_back(std::move(*child));
    } else if (step.node->kind == NodeKind::leaf && !step.node->default_value.empty() && step.node->choice.empty()) {
      next.emplace_back(*step.node, std::string(step.node->default_value));  // RFC 8040 3.5.4
    } else if (step.node->kind == NodeKind::container && step.node->choice.empty() && !step.node->mandatory &&
               step.node->capability == NodeId::none) {
      next.emplace_back(*step.node);  // a container without presence is always there
    } else {
      return missing(*step.node);
    }
    at = std::move(next);
  }
  return at;
}

}  // namespace

Entry* Collection::find(const std::string& name) const {
  const auto found = by_name.find(name);
  return found == by_name.end() ? nullptr : found->second.get();
}

const Client* Domain::State::own(const std::string& cuid, const Asker& asker) const {
  const auto found = clients.find(base::Cuid(cuid));
  return found == clients.end() || found->second.record.client != asker.client ? nullptr : &found->second;
}

Instance Domain::State::config_of(const Entry& entry) {
  const Node& list = node(entry.record.key.kind == Kind::alias ? NodeId::alias : NodeId::acl);
  const auto json = wire::parse_json(entry.record.body, {.bytes = SIZE_MAX, .values = SIZE_MAX});
  assert(json);
  auto instance = read_members(list, *json, {nullptr, true}, {});
  assert(instance);
  return std::move(*instance);
}

Instance Domain::State::with_state(const Entry& entry, base::Now now) {
  Instance instance = config_of(entry);
  const bool alias = entry.record.key.kind == Kind::alias;
  instance.add(alias ? NodeId::alias_pending_lifetime : NodeId::acl_pending_lifetime,
               minutes_left(entry.deadline, now));
  if (Instance* aces = instance.find(NodeId::aces)) {
    for (Instance& ace : aces->children) {
      const auto counted = entry.counted.find(*ace.leaf(NodeId::ace_name));
      const auto [packets, octets] =
          counted == entry.counted.end() ? std::pair<std::uint64_t, std::uint64_t>{} : counted->second;
      Instance& statistics = ace.add(NodeId::statistics);
      statistics.add(NodeId::matched_packets, std::to_string(packets));
      statistics.add(NodeId::matched_octets, std::to_string(octets));
    }
  }
  sort_children(instance);
  return instance;
}

Checked<std::vector<Instance>> Domain::State::build(const std::vector<Step>& steps, const Selection& selection,
                                                    const Asker& asker, base::Now now) const {
  // Are entries of aliases and acls seen at all? Else one stands for all: it prints as an empty array.
  const bool bodies = kEntryLevel + 1 < selection.depth + steps.size();
  std::size_t bytes = 0;
  const auto collection = [&](const Client& client, Kind kind) {
    Instance all(kind == Kind::alias ? NodeId::aliases : NodeId::acls);
    for (const auto& [rank, entry] : client.of(kind).order) {
      bytes += entry->record.body.size();
      if (!bodies) all.add(kind == Kind::alias ? NodeId::alias : NodeId::acl);
      if (!bodies || bytes > options.limits.answer_bytes) break;
      all.add(with_state(*entry, now));
    }
    return all;
  };
  const auto whole = [&](const Client& client) {
    Instance all(NodeId::dots_client);
    all.add(NodeId::cuid, client.record.cuid.value);
    if (client.record.cdid) all.add(NodeId::cdid, *client.record.cdid);
    for (const Kind kind : {Kind::alias, Kind::acl}) all.add(collection(client, kind));
    return all;
  };
  const auto dots_data = [&] {
    Instance all(NodeId::dots_data);
    for (const auto& [cuid, client] : clients) {
      if (client.record.client == asker.client) all.add(whole(client));
    }
    all.add(capabilities_instance(options.capabilities));
    return all;
  };
  const auto found = [&]() -> Checked<std::vector<Instance>> {
    if (steps.empty()) {
      Instance all(datastore());
      all.add(dots_data());
      for (const auto top : {NodeId::restconf_state, NodeId::yang_library, NodeId::modules_state}) {
        all.add(library_instance(top));
      }
      return std::vector{std::move(all)};
    }
    if (steps[0].node->id != NodeId::dots_data) return descend(library_instance(steps[0].node->id), steps);
    if (steps.size() == 1) return std::vector{dots_data()};
    if (steps[1].node->id == NodeId::capabilities) {
      return descend(capabilities_instance(options.capabilities), std::span(steps).subspan(1));
    }
    if (steps[1].keys.empty()) {
      std::vector<Instance> all;
      for (const auto& [cuid, client] : clients) {
        if (client.record.client == asker.client) all.push_back(whole(client));
      }
      if (all.empty()) return missing(*steps[1].node);
      return all;
    }
    const Client* client = own(steps[1].keys.front(), asker);
    if (client == nullptr) return missing(*steps[1].node);
    if (steps.size() == 2) return std::vector{whole(*client)};
    const NodeId third = steps[2].node->id;
    if (third != NodeId::aliases && third != NodeId::acls) {
      Instance identity(NodeId::dots_client);
      identity.add(NodeId::cuid, client->record.cuid.value);
      if (client->record.cdid) identity.add(NodeId::cdid, *client->record.cdid);
      return descend(std::move(identity), std::span(steps).subspan(1));
    }
    const Kind kind = third == NodeId::aliases ? Kind::alias : Kind::acl;
    if (steps.size() == 3) return std::vector{collection(*client, kind)};
    if (steps[3].keys.empty()) return descend(collection(*client, kind), std::span(steps).subspan(2));
    const Entry* entry = client->of(kind).find(steps[3].keys.front());
    if (entry == nullptr) return missing(*steps[3].node);
    return descend(with_state(*entry, now), std::span(steps).subspan(3));
  }();
  if (found && bodies && bytes > options.limits.answer_bytes) {
    return fault::protocol(400, "too-big", "the answer would be too large; ask for less, or use depth");
  }
  return found;
}

bool Domain::State::is_there(const std::vector<Step>& steps, const Asker& asker) const {
  if (steps.empty()) return true;
  if (steps[0].node->id != NodeId::dots_data || steps.size() > kEntryLevel) return false;
  if (steps.size() == 1) return true;
  if (steps[1].keys.empty()) return false;
  const Client* client = own(steps[1].keys.front(), asker);
  if (client == nullptr || steps.size() == 2) return client != nullptr;
  const NodeId third = steps[2].node->id;
  if (third != NodeId::aliases && third != NodeId::acls) return false;
  if (steps.size() == 3) return true;
  const Collection& all = client->of(third == NodeId::aliases ? Kind::alias : Kind::acl);
  return steps[3].keys.empty() ? !all.order.empty() : all.find(steps[3].keys.front()) != nullptr;
}

std::optional<ports::DataVersion> Domain::State::version_of(const std::vector<Step>& steps, const Asker& asker) const {
  if (!steps.empty() && steps[0].node->id != NodeId::dots_data) return std::nullopt;
  if (steps.size() < 2 || steps[1].keys.empty()) {
    const auto view = views.find(asker.client);
    return view == views.end() ? ports::DataVersion{} : view->second;
  }
  const Client* client = own(steps[1].keys.front(), asker);
  if (client == nullptr) return std::nullopt;
  const NodeId third = steps.size() < 3 ? NodeId::none : steps[2].node->id;
  if (third != NodeId::aliases && third != NodeId::acls) return client->record.version;
  const Kind kind = third == NodeId::aliases ? Kind::alias : Kind::acl;
  if (steps.size() == 3 || steps[3].keys.empty()) {
    return kind == Kind::alias ? client->record.aliases : client->record.acls;
  }
  const Entry* entry = client->of(kind).find(steps[3].keys.front());
  if (entry == nullptr) return std::nullopt;
  return entry->record.version;
}

Checked<ports::HttpAnswer> Domain::State::retrieve(const Target& target, const Query& query,
                                                   const ports::HttpRequest& request, const Asker& asker,
                                                   base::Now now) const {
  if (query.placement.where != Placement::Where::unsaid || query.point) {
    return fault::protocol(400, "invalid-value", "insert and point do not belong to a " + request.method);
  }
  const auto& steps = target.steps;
  const Node& node = target.node();
  // A leaf that the selection leaves out has no representation.
  const bool left_out = (query.selection.content == Content::config && node.state) ||
                        (query.selection.content == Content::nonconfig && node.is_leaf() && !node.state);
  if (left_out) return fault::not_found("there is nothing of this kind of content");
  const auto version = version_of(steps, asker);
  const auto unless = [&]() -> std::optional<ports::HttpAnswer> {
    const Precondition verdict = version ? evaluate(request.headers, version, true) : Precondition::holds;
    if (verdict == Precondition::holds) return std::nullopt;
    ports::HttpAnswer answer =
        verdict == Precondition::not_modified
            ? answer_of(304)
            : error_answer(fault::protocol(412, "operation-failed", "the resource is another version"));
    add_version(answer, *version);
    return answer;
  };
  // A client that looks whether something has changed costs next to nothing.
  if (is_there(steps, asker)) {
    if (auto answer = unless()) return std::move(*answer);
  }
  auto instances = build(steps, query.selection, asker, now);
  if (!instances) return instances.error();
  if (auto answer = unless()) return std::move(*answer);
  const bool wrap = options.wrap_entries && steps.size() == kEntryLevel && !steps[3].keys.empty();
  ports::HttpAnswer answer = json_answer(print_resource(node, *instances, query.selection, wrap));
  if (version) add_version(answer, *version);
  return answer;
}

}  // namespace dots::data
