// The data channel of the domains of a shard (RFC 8783): requests, expiry, and the answers that wait for the commit.
#include <utility>

#include "agent/server/shard.h"

namespace dots::agent::server {
namespace {

std::string line_of(const base::DomainId& domain, const data::Event& event) {
  std::string out = "client " + event.client.value + " of domain " + domain.value;
  if (!event.cuid.value.empty()) out += ", cuid " + event.cuid.value;
  if (!event.name.empty()) out += ", '" + event.name + "'";
  return out + ": " + event.text;
}

std::string_view message_of(data::Event::Kind kind) {
  switch (kind) {
    case data::Event::Kind::registered:
    case data::Event::Kind::deregistered:
    case data::Event::Kind::stored:
    case data::Event::Kind::removed:
      return "DATA_CHANGED";
    case data::Event::Kind::expired:
      return "DATA_EXPIRED";
    case data::Event::Kind::refused:
      return "DATA_REFUSED";
    case data::Event::Kind::conflict:
      return "DATA_CONFLICT";
    case data::Event::Kind::looped:
      return "DATA_LOOPED";
    case data::Event::Kind::unreadable:
      return "DATA_UNREADABLE";
  }
  return "DATA_REFUSED";
}

bool only_reads_or_frees(const std::string& method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "DELETE";
}

}  // namespace

void Shard::on_data(const DataRequest& asked, base::Now now, ShardOutput& out) {
  const auto it = domains_.find(asked.domain);
  const bool refusing = releases_only_until_ && now.steady < *releases_only_until_;
  if (it == domains_.end() || it->second.reloading || (refusing && !only_reads_or_frees(asked.request.method))) {
    out.data_answers.emplace_back(asked.ticket, data::unavailable());
    return;
  }
  Owned& owned = it->second;
  ++out.counts.data_requests;
  data::Outcome outcome = owned.data.request(asked.request, {asked.client, false, asked.credential}, now);
  const auto switched = std::move(outcome.activations);
  show_later(asked.domain, owned, std::move(outcome), asked.ticket);
  if (switched.empty()) return;
  // Who observes a mitigation hears of it (RFC 9133 3.2.1). One request is about one cuid.
  signal::server::FiltersChanged news{switched.front().cuid, {}};
  for (const auto& change : switched) news.acl_list.push_back(change.acl);
  step(asked.domain, owned, news, now);
}

void Shard::load_data(const base::DomainId& id, Owned& owned, const ports::Snapshot& snapshot, base::Now now) {
  DataAnswer told;
  for (const auto& event : owned.data.load(snapshot, now)) {
    told.lines.push_back({message_of(event.kind), line_of(id, event)});
  }
  gate_.add(id, {}, std::move(told));
}

void Shard::show_later(const base::DomainId& id, Owned& owned, data::Outcome outcome, std::uint64_t ticket) {
  DataAnswer answer{ticket, std::move(outcome.answer), {}};
  for (const auto& event : outcome.events) answer.lines.push_back({message_of(event.kind), line_of(id, event)});
  gate_.add(id, std::move(outcome.changes), std::move(answer));
  arm(id, owned);
}

}  // namespace dots::agent::server
