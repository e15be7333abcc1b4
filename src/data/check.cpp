// May it be written? Completeness, meaning, ownership, bounds, and conflicts with other clients (RFC
// 8783 4.3, 6.1, 7.2).
#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "data/machine.h"
#include "data/reading.h"

namespace dots::data {
namespace {

using fault::quota;

std::string client_path(const base::Cuid& cuid) {
  return node(NodeId::dots_client).path() + "[cuid='" + cuid.value + "']";
}

}  // namespace

Checked<void> Domain::State::check(Work& work, const Asker& asker, std::vector<Event>& events) const {
  for (Draft& draft : work.put) {
    const std::string path =
        path_of(client_path(work.cuid) + (draft.kind == Kind::alias ? "/aliases" : "/acls"), draft.config);
    if (auto complete = check_complete(draft.config, path); !complete) return complete;
    sort_children(draft.config);
    draft.name = keys_of(draft.config).front();
    if (auto good = draft.kind == Kind::alias ? check_alias(draft, path) : check_acl(draft, path); !good) return good;
    draft.body = print_config(draft.config);
  }
  if (auto room = check_quotas(work); !room) return room;
  return check_conflicts(work, asker, events);
}

Checked<void> Domain::State::check_alias(Draft& draft, const std::string& path) const {
  const auto alias = to_alias(draft.config, path);
  if (!alias) return alias.error();
  const auto& targets = alias->targets;
  const std::size_t number = targets.target_prefix.size() + targets.target_fqdn.size() + targets.target_uri.size();
  if (number > options.limits.targets_per_alias) {
    return quota("an alias can hold " + std::to_string(options.limits.targets_per_alias) + " targets");
  }
  if (targets.target_port_range.size() + targets.target_protocol.size() > options.limits.targets_per_alias) {
    return quota("an alias can hold " + std::to_string(options.limits.targets_per_alias) +
                 " port ranges and protocols");
  }
  const policy::Verdict verdict = rules->may_keep(targets);
  if (!verdict.allowed) return fault::invalid_value(verdict.diagnostic, path);
  return {};
}

std::vector<std::string> Domain::State::matches_of(const Instance& acl) {
  std::vector<std::string> all;
  const Instance* list = acl.find(NodeId::aces);
  if (list == nullptr) return all;
  for (const Instance& ace : list->children) {
    const Instance* matches = ace.find(NodeId::matches);
    all.push_back(matches == nullptr ? "{}" : print_config(*matches));
  }
  return all;
}

Checked<void> Domain::State::check_targets(const model::Filter& filter, const std::string& path) const {
  for (const model::FilterEntry& entry : filter.entries) {
    if (!entry.match.ip || !entry.match.ip->destination) continue;
    const policy::Verdict verdict = rules->may_target(*entry.match.ip->destination);
    if (!verdict.allowed) {
      return fault::invalid_value("entry " + entry.name + ": " + verdict.diagnostic, path + "/aces");
    }
  }
  return {};
}

Checked<void> Domain::State::check_acl(Draft& draft, const std::string& path) const {
  auto filter = to_filter(draft.config, path, options.filter_rules);
  if (!filter) return filter.error();
  if (filter->entries.size() > options.limits.aces_per_acl) {
    return quota("an access control list can hold " + std::to_string(options.limits.aces_per_acl) + " entries");
  }
  if (const auto good = check_targets(*filter, path); !good) return good.error();
  draft.matches = matches_of(draft.config);
  draft.filter = std::make_shared<const model::Filter>(std::move(*filter));
  return {};
}

Checked<void> Domain::State::check_quotas(const Work& work) const {
  const Limits& limits = options.limits;
  const auto known = clients.find(work.cuid);
  const Client* client = known == clients.end() ? nullptr : &known->second;
  if (client == nullptr && work.registration) {
    const std::size_t own = static_cast<std::size_t>(std::count_if(clients.begin(), clients.end(), [&](const auto& c) {
      return c.second.record.client == work.registration->client;
    }));
    if (own >= rules->policy().max_cuids_per_client || clients.size() >= limits.clients) {
      return quota("no further dots-client can be registered; remove one first");
    }
  }
  // What would be there afterwards, in the domain and of this client.
  std::size_t all[] = {aliases, acls}, bytes = stored_bytes, entries = aces;
  std::size_t of_client[] = {client == nullptr ? 0 : client->aliases.by_name.size(),
                             client == nullptr ? 0 : client->acls.by_name.size()};
  const auto take_away = [&](const Entry& entry) {
    bytes -= entry.record.body.size();
    entries -= entry.filter ? entry.filter->entries.size() : 0;
  };
  for (const auto& [kind, name] : work.erase) {
    const std::size_t which = kind == Kind::alias ? 0 : 1;
    take_away(*client->of(kind).find(name));
    --all[which];
    --of_client[which];
  }
  bool grows = false;
  for (const Draft& draft : work.put) {
    const std::size_t which = draft.kind == Kind::alias ? 0 : 1;
    const Entry* entry = client == nullptr ? nullptr : client->of(draft.kind).find(draft.name);
    bytes += draft.body.size();
    entries += draft.filter ? draft.filter->entries.size() : 0;
    const std::size_t before = entry == nullptr ? 0 : entry->record.body.size();
    grows = grows || draft.body.size() > before;
    if (entry != nullptr) {
      take_away(*entry);
    } else {
      ++all[which];
      ++of_client[which];
    }
  }
  // What does not grow is never refused: a client over its bounds can still refresh and shrink.
  if (!grows) return {};
  if (of_client[0] > limits.aliases_per_client || all[0] > limits.aliases)
    return quota("no further alias fits; remove one first");
  if (of_client[1] > limits.acls_per_client || all[1] > limits.acls)
    return quota("no further acl fits; remove one first");
  if (entries > limits.aces) return quota("no further entries of access control lists fit; remove some first");
  if (bytes > limits.stored_bytes) return quota("there is no room left for the aliases and lists of this domain");
  return {};
}

Checked<void> Domain::State::check_conflicts(const Work& work, const Asker& asker, std::vector<Event>& events) const {
  // Each question once for a request, however many of its entries ask it.
  std::set<std::pair<std::string_view, std::size_t>> asked;
  for (const Draft& draft : work.put) {
    if (!draft.filter) continue;
    for (std::size_t i = 0; i < draft.matches.size(); ++i) {
      const auto same = verdicts.find(draft.matches[i]);
      if (same == verdicts.end()) continue;
      const model::FilterEntry& entry = draft.filter->entries[i];
      const std::size_t opposite = entry.forwarding == model::Forwarding::accept ? 1 : 0;
      if (!asked.emplace(draft.matches[i], opposite).second) continue;
      for (const auto& [other, counts] : same->second) {
        if (counts[opposite] == 0 || other->client->record.client == asker.client) continue;
        Event event{Event::Kind::conflict, asker.client, work.cuid, draft.name, false, {}};
        event.text = "entry " + entry.name + " of list " + draft.name + " contradicts list " + other->record.key.name +
                     " of client " + other->client->record.client.value;
        events.push_back(std::move(event));
        if (options.conflicts == FilterConflict::accept) break;
        return fault::exists("entry " + entry.name + " contradicts a filter of another client of your domain");
      }
    }
  }
  return {};
}

}  // namespace dots::data
