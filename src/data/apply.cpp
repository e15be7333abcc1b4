// Doing what was planned and checked: the state, the changes for the store, what others hear of it.
#include <algorithm>
#include <cassert>
#include <limits>

#include "data/machine.h"

namespace dots::data {
namespace {

constexpr std::int64_t kRankStep = std::int64_t{1} << 32;
constexpr std::int64_t kFurthestRank = std::int64_t{1} << 62;
// Sixteen more insertions at one place.
constexpr std::int64_t kRoomyGap = std::int64_t{1} << 16;

std::string_view kind_name(Kind kind) { return kind == Kind::alias ? "alias" : "acl"; }

}  // namespace

void Domain::State::index(const Entry& entry, bool add) {
  if (!entry.filter) return;
  for (std::size_t i = 0; i < entry.matches.size(); ++i) {
    const std::size_t drops = entry.filter->entries[i].forwarding == model::Forwarding::accept ? 0 : 1;
    if (add) {
      ++verdicts[entry.matches[i]][&entry][drops];
      continue;
    }
    const auto same = verdicts.find(entry.matches[i]);
    if (same == verdicts.end()) continue;
    same->second.erase(&entry);
    if (same->second.empty()) verdicts.erase(same);
  }
}

void Domain::State::touch(Client& client, Kind kind, const ports::DataVersion& version) {
  for (auto* moved : {&client.record.version, kind == Kind::alias ? &client.record.aliases : &client.record.acls}) {
    if (moved->revision < version.revision) *moved = version;
  }
}

Entry& Domain::State::insert(Client& client, ports::DataEntryRecord record, std::shared_ptr<const model::Filter> filter,
                             std::vector<std::string> matches, base::SteadyTime deadline) {
  Collection& collection = client.of(record.key.kind);
  auto& slot = collection.by_name[record.key.name];
  if (record.key.kind == Kind::acl) ++filters_version;
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> counted;
  if (slot) {
    counted = std::move(slot->counted);
    index(*slot, false);
    collection.order.erase(slot->record.rank);
    deadlines.erase({slot->deadline, slot.get()});
    stored_bytes -= slot->record.body.size();
    if (slot->filter) aces -= slot->filter->entries.size();
  } else {
    slot = std::make_unique<Entry>();
    ++(record.key.kind == Kind::alias ? aliases : acls);
  }
  Entry& entry = *slot;
  entry.client = &client;
  entry.record = std::move(record);
  entry.deadline = deadline;
  entry.filter = std::move(filter);
  entry.matches = std::move(matches);
  entry.counted.clear();
  if (entry.filter) {
    // Counters stay with the entries that are still there.
    for (const model::FilterEntry& ace : entry.filter->entries) {
      if (const auto old = counted.find(ace.name); old != counted.end()) entry.counted.insert(*old);
    }
    aces += entry.filter->entries.size();
  }
  stored_bytes += entry.record.body.size();
  collection.order[entry.record.rank] = &entry;
  deadlines.emplace(deadline, &entry);
  index(entry, true);
  return entry;
}

void Domain::State::renew(Entry& entry, ports::DataEntryRecord record, std::shared_ptr<const model::Filter> filter,
                          base::SteadyTime deadline) {
  assert(record.rank == entry.record.rank && filter->entries.size() == entry.filter->entries.size());
  ++filters_version;
  deadlines.erase({entry.deadline, &entry});
  stored_bytes += record.body.size();
  stored_bytes -= entry.record.body.size();
  entry.record = std::move(record);
  entry.filter = std::move(filter);
  entry.deadline = deadline;
  deadlines.emplace(deadline, &entry);
}

void Domain::State::erase(Client& client, Kind kind, const std::string& name) {
  Collection& collection = client.of(kind);
  const auto at = collection.by_name.find(name);
  if (at == collection.by_name.end()) return;
  Entry& entry = *at->second;
  if (kind == Kind::acl) ++filters_version;
  index(entry, false);
  collection.order.erase(entry.record.rank);
  deadlines.erase({entry.deadline, &entry});
  stored_bytes -= entry.record.body.size();
  if (entry.filter) aces -= entry.filter->entries.size();
  --(kind == Kind::alias ? aliases : acls);
  collection.by_name.erase(at);
}

// After 2^30 insertions at one end.
void Domain::State::rank_anew(Collection& collection, Outcome& outcome) {
  std::vector<Entry*> all;
  for (const auto& [rank, entry] : collection.order) all.push_back(entry);
  collection.order.clear();
  std::int64_t rank = 0;
  for (Entry* entry : all) {
    entry->record.rank = rank;
    collection.order[rank] = entry;
    rank += kRankStep;
    outcome.changes.emplace_back(ports::PutDataEntry{entry->record});
  }
}

// Makes room around a place of the order: as many neighbours as it takes are given new ranks, evenly, so that what is
// written for one insertion stays small however often clients insert at the same place.
void Domain::State::make_room(Collection& collection, std::int64_t place, Outcome& outcome) {
  auto& order = collection.order;
  auto first = order.find(place);
  auto last = first;  // the window, both ends included
  std::int64_t wide = 0;
  std::int64_t low = 0;
  for (std::int64_t entries = 1;;) {
    // The ranks beside the window; beyond the ends of the order there is room.
    low = first == order.begin() ? first->first - kRankStep * (entries + 1) : std::prev(first)->first;
    const auto after = std::next(last);
    const std::int64_t high = after == order.end() ? last->first + kRankStep * (entries + 1) : after->first;
    wide = (high - low) / (entries + 1);
    const bool all = first == order.begin() && after == order.end();
    if (wide >= kRoomyGap || all) break;
    for (std::int64_t more = entries; more > 0; --more) {
      if (first != order.begin()) --first, ++entries;
      if (std::next(last) != order.end()) ++last, ++entries;
    }
  }
  std::vector<Entry*> window;
  for (auto at = first;; ++at) {
    window.push_back(at->second);
    if (at == last) break;
  }
  order.erase(first, std::next(last));
  for (Entry* entry : window) {
    low += wide;
    const bool moved = entry->record.rank != low;
    entry->record.rank = low;
    order[low] = entry;
    if (moved) outcome.changes.emplace_back(ports::PutDataEntry{entry->record});
  }
}

// A rank between the neighbours; when they stand too close, room is made first.
std::int64_t Domain::State::rank_for(Client& client, Kind kind, const Draft& draft, Outcome& outcome) {
  using Where = Placement::Where;
  Collection& collection = client.of(kind);
  const Entry* own = collection.find(draft.name);
  const Where where = draft.placement.where;
  if (own != nullptr && where == Where::unsaid) return own->record.rank;
  for (;;) {
    const auto& order = collection.order;
    if (order.empty() || (order.size() == 1 && own != nullptr)) return own != nullptr ? own->record.rank : 0;
    if (where == Where::unsaid || where == Where::last) {
      if (order.rbegin()->second == own) return own->record.rank;
      if (order.rbegin()->first < kFurthestRank) return order.rbegin()->first + kRankStep;
      rank_anew(collection, outcome);
      continue;
    }
    if (where == Where::first) {
      if (order.begin()->second == own) return own->record.rank;
      if (order.begin()->first > -kFurthestRank) return order.begin()->first - kRankStep;
      rank_anew(collection, outcome);
      continue;
    }
    const Entry* point = collection.find(draft.placement.point.front());
    auto at = order.find(point->record.rank);
    std::int64_t low = 0;
    std::int64_t high = 0;
    if (where == Where::after) {
      low = at->first;
      high = ++at == order.end() ? low + 2 * kRankStep : at->first;
    } else {
      high = at->first;
      low = at == order.begin() ? high - 2 * kRankStep : std::prev(at)->first;
    }
    if (high - low >= 2) return low + (high - low) / 2;
    make_room(collection, point->record.rank, outcome);
  }
}

void Domain::State::apply(Work& work, const std::string& actor, const std::string& action, base::Now now,
                          Outcome& outcome, const std::string& credential) {
  const ports::DataVersion version{revision + 1, now.wall};
  bool changed = false;
  const auto audit = [&](const std::string& subject, std::string text) {
    outcome.changes.emplace_back(
        ports::AppendAudit{{now.wall, domain(), actor, action, "cuid=" + work.cuid.value + subject, "accepted",
                            std::move(text), credential}});
  };
  const auto tell = [&](Event::Kind what, const base::ClientId& client, const std::string& name, bool filters,
                        std::string text) {
    outcome.events.push_back({what, client, work.cuid, name, filters, std::move(text)});
  };

  if (work.deregister) {
    Client& client = clients.at(work.cuid);
    const base::ClientId owner = client.record.client;
    const std::string text = "with " + std::to_string(client.aliases.by_name.size()) + " aliases and " +
                             std::to_string(client.acls.by_name.size()) + " access control lists";
    const bool filters = !client.acls.by_name.empty();
    for (const Kind kind : {Kind::alias, Kind::acl}) {
      while (!client.of(kind).by_name.empty()) erase(client, kind, std::string(client.of(kind).by_name.begin()->first));
    }
    clients.erase(work.cuid);
    views[owner] = version;
    revision = version.revision;
    outcome.changes.emplace_back(ports::EraseDataClient{domain(), work.cuid});
    // What its identity sees has a new version, which must be there after a restart as well.
    for (auto& [cuid, other] : clients) {
      if (other.record.client != owner) continue;
      other.record.version = version;
      outcome.changes.emplace_back(ports::PutDataClient{other.record});
      break;
    }
    audit("", "deregistered " + text);
    tell(Event::Kind::deregistered, owner, {}, filters, text);
    return;
  }

  if (work.registration) {
    const bool fresh = clients.find(work.cuid) == clients.end();
    Client& client = clients[work.cuid];
    client.record = *work.registration;
    if (fresh) client.record.since = now.wall;
    client.record.version = version;
    if (fresh) client.record.aliases = client.record.acls = version;
    changed = true;
    outcome.changes.emplace_back(ports::PutDataClient{client.record});
    audit("", fresh ? "registered" : "registered again");
    tell(Event::Kind::registered, client.record.client, {}, false, fresh ? "registered" : "registered again");
  }
  Client& client = clients.at(work.cuid);
  const base::ClientId owner = client.record.client;
  // One line and one event for a request, however many entries it holds.
  std::string first;
  std::size_t entries = 0, created = 0, altered = 0;
  bool filters = false;
  const auto note = [&](Kind kind, const std::string& name, bool news) {
    if (entries++ == 0) first = std::string(kind_name(kind)) + "=" + name;
    filters = filters || (kind == Kind::acl && news);
    changed = changed || news;
  };
  for (const auto& [kind, name] : work.erase) {
    const ports::DataEntryKey key{domain(), work.cuid, kind, name};
    note(kind, name, true);
    erase(client, kind, name);
    touch(client, kind, version);
    outcome.changes.emplace_back(ports::EraseDataEntry{key, version});
  }
  for (Draft& draft : work.put) {
    const Entry* known = client.of(draft.kind).find(draft.name);
    ports::DataEntryRecord record;
    record.key = {domain(), work.cuid, draft.kind, draft.name};
    record.rank = rank_for(client, draft.kind, draft, outcome);
    // A refresh changes no configuration, so it moves no entity-tag (RFC 8040 3.4.1.2).
    const bool same = known != nullptr && known->record.body == draft.body && known->record.rank == record.rank;
    record.version = same ? known->record.version : version;
    record.body = std::move(draft.body);
    record.granted = options.lifetime;
    record.expires = now.wall + options.lifetime;
    note(draft.kind, draft.name, !same);
    if (known != nullptr && draft.filter && known->filter->activation != draft.filter->activation) {
      outcome.activations.push_back({work.cuid, {draft.name, draft.filter->activation}});
    }
    if (known == nullptr) ++created;
    if (known != nullptr && !same) ++altered;
    outcome.changes.emplace_back(ports::PutDataEntry{record});
    const base::SteadyTime deadline = now.steady + options.lifetime;
    if (draft.same_entries) {
      renew(*client.of(draft.kind).find(draft.name), std::move(record), std::move(draft.filter), deadline);
    } else {
      insert(client, std::move(record), std::move(draft.filter), std::move(draft.matches), deadline);
    }
    if (!same) touch(client, draft.kind, version);
  }
  if (changed) {
    revision = version.revision;
    views[owner] = version;
  }
  if (entries == 0) return;
  const std::size_t refreshed = work.put.size() - created - altered;
  std::string text;
  for (const auto& [number, what] : {std::pair<std::size_t, const char*>{created, "created"},
                                     {altered, "changed"},
                                     {refreshed, "refreshed"},
                                     {work.erase.size(), "removed"}}) {
    if (number > 0) text += (text.empty() ? "" : ", ") + std::to_string(number) + " " + what;
  }
  // A client that only refreshes does not push others out of the log.
  const std::string subject = entries == 1 ? first : first + " and " + std::to_string(entries - 1) + " more";
  if (!work.text.empty()) text = work.text;
  if (refreshed < entries || !work.text.empty()) audit(" " + subject, text);
  tell(work.put.empty() ? Event::Kind::removed : Event::Kind::stored, owner, subject, filters, text);
}

}  // namespace dots::data
