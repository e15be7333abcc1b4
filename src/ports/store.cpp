#include "ports/store.h"

namespace dots::ports {

bool is_release(const Change& change) {
  if (std::holds_alternative<EraseMitigation>(change) || std::holds_alternative<EraseCuid>(change) ||
      std::holds_alternative<EraseClientRequest>(change) || std::holds_alternative<AppendAudit>(change)) {
    return true;
  }
  if (const auto* put = std::get_if<PutMitigation>(&change)) {
    return put->record.status == model::MitigationStatus::client_withdrawn ||
           put->record.status == model::MitigationStatus::withdrawn;
  }
  const auto* request = std::get_if<PutClientRequest>(&change);
  return request != nullptr && request->record.withdrawing;
}

}  // namespace dots::ports
