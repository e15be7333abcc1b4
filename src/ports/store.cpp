#include "ports/store.h"

#include <algorithm>

namespace dots::ports {

bool AuditQuery::matches(const AuditRecord& record) const {
  const auto within = [](const std::string& part, const std::string& text) {
    return text.find(part) != std::string::npos;
  };
  return (!domain || record.domain == *domain) && (action.empty() || record.action == action) &&
         (within(actor, record.actor) || within(actor, record.credential)) && within(subject, record.subject) &&
         (!since || record.at >= *since) && (!until || record.at < *until);
}

bool is_release(const Change& change) {
  if (std::holds_alternative<EraseMitigation>(change) || std::holds_alternative<EraseCuid>(change) ||
      std::holds_alternative<EraseClientRequest>(change) || std::holds_alternative<EraseName>(change) ||
      std::holds_alternative<AppendAudit>(change) || std::holds_alternative<EraseDataClient>(change) ||
      std::holds_alternative<EraseDataEntry>(change) || std::holds_alternative<EraseClientData>(change)) {
    return true;
  }
  if (const auto* put = std::get_if<PutMitigation>(&change)) {
    return put->record.status == model::MitigationStatus::client_withdrawn ||
           put->record.status == model::MitigationStatus::terminated ||
           put->record.status == model::MitigationStatus::withdrawn;
  }
  const auto* request = std::get_if<PutClientRequest>(&change);
  return request != nullptr && request->record.withdrawing;
}

bool is_release(const Batch& batch) {
  const bool all =
      std::all_of(batch.changes.begin(), batch.changes.end(), [](const Change& change) { return is_release(change); });
  return all && std::any_of(batch.changes.begin(), batch.changes.end(),
                            [](const Change& change) { return !std::holds_alternative<AppendAudit>(change); });
}

}  // namespace dots::ports
