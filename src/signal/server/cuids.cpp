// Who may use which cuid (RFC 9132 4.4.1.1, 4.4.1.3; docs/decisions/cuids.md).
#include <algorithm>

#include "signal/server/answers.h"
#include "signal/server/machine.h"

namespace dots::signal::server {

std::optional<base::ClientId> Machine::cuid_owner(const base::Cuid& cuid) const {
  if (const auto used = cuids_.find(cuid); used != cuids_.end()) return used->second.record.client;
  if (const auto hashed = credential_cuids_.find(cuid); hashed != credential_cuids_.end()) return hashed->second;
  return std::nullopt;
}

std::optional<base::ClientId> Machine::taken_by_other(const base::Cuid& cuid, const base::ClientId& client) const {
  auto owner = cuid_owner(cuid);
  if (!owner && data_channel_.cuid_owner) owner = data_channel_.cuid_owner(cuid);
  return owner == client ? std::nullopt : owner;
}

void Machine::remember_credential(const base::Cuid& cuid, const base::ClientId& client) {
  if (credential_cuids_.size() < limits_.credentials) credential_cuids_.emplace(cuid, client);
}

void Machine::claim_cuid(const base::Cuid& cuid, const base::ClientId& client, base::Now now) {
  CuidState fresh;
  fresh.record = {domain(), cuid, client, now.wall};
  persist(ports::PutCuid{fresh.record});
  cuids_.emplace(cuid, std::move(fresh));
  clients_[client].cuids.insert(cuid);
}

void Machine::free_cuid(const base::Cuid& cuid) {
  const auto found = cuids_.find(cuid);
  persist(ports::EraseCuid{domain(), cuid});
  clients_[found->second.record.client].cuids.erase(cuid);
  cuids_.erase(found);
}

bool Machine::make_room_for_cuid(const base::ClientId& client) {
  ClientState& state = clients_[client];
  if (state.cuids.size() < rules_->policy().max_cuids_per_client) return true;
  const CuidState* oldest = nullptr;
  for (const base::Cuid& cuid : state.cuids) {
    const CuidState& candidate = cuids_.at(cuid);
    if (!candidate.mitigations.empty()) continue;
    if (oldest == nullptr || candidate.record.since < oldest->record.since) oldest = &candidate;
  }
  if (oldest == nullptr) return false;
  free_cuid(base::Cuid{oldest->record.cuid});
  return true;
}

void Machine::on_event(const OperatorReleaseCuid& release, base::Now now) {
  const auto answer = [&](bool ok, std::string text) {
    out_.emplace_back(OperatorAnswer{release.ticket, ok, std::move(text)});
  };
  const auto found = cuids_.find(release.cuid);
  const auto registered = data_channel_.cuid_owner ? data_channel_.cuid_owner(release.cuid) : std::nullopt;
  if (found == cuids_.end() && !registered) {
    return answer(false, "no client of domain " + domain().value + " uses the cuid " + release.cuid.value);
  }
  const base::ClientId owner = found != cuids_.end() ? found->second.record.client : *registered;
  const std::size_t mitigations = found != cuids_.end() ? found->second.mitigations.size() : 0;
  if (mitigations > 0) {
    return answer(false, client_text(owner) + " has " + std::to_string(mitigations) +
                             " mitigations under this cuid: withdraw them first");
  }
  std::string held;
  if (registered) {
    const auto text = data_channel_.release(release.cuid, "operator " + release.author, now);
    if (text) held = "; registered on the data channel " + *text;
  }
  ports::AuditRecord record;
  record.at = now.wall;
  record.domain = domain();
  record.actor = "operator " + release.author;
  record.action = "release-cuid";
  record.subject = "cuid=" + release.cuid.value;
  record.verdict = "accepted";
  record.text = "it belonged to " + client_text(owner) + held + (release.note.empty() ? "" : ": " + release.note);
  record.credential = release.credential;
  persist(ports::AppendAudit{std::move(record)});
  if (found != cuids_.end()) free_cuid(release.cuid);
  answer(true,
         "the cuid " + release.cuid.value + " belongs to nobody now; it belonged to " + client_text(owner) + held);
}

}  // namespace dots::signal::server
