// The answers of the server and the entries of their bodies (RFC 9132 4.4.1.3, 4.4.2). Internal to this room.
#pragma once

#include <cstdint>
#include <string>

#include "base/time.h"
#include "signal/server/events.h"
#include "signal/server/records.h"

namespace dots::signal::server {

// 2.01 or 2.04: mid and granted lifetime (Figure 10).
Answer accepted(model::ResponseCode code, base::Mid mid, model::Lifetime granted);
// An error with its diagnostic payload.
Answer refused(model::ResponseCode code, std::string diagnostic, std::optional<model::RefusalReason> reason = {});
// 5.03: cannot serve now, try again after `retry_after_s` (Max-Age).
Answer unavailable(std::string diagnostic, std::uint32_t retry_after_s,
                   std::optional<model::RefusalReason> reason = {});
// For clients that take our extensions: the reason goes into the body of the refusal, and the diagnostic text with it
// (docs/extensions.md).
void tell_reason(Answer& answer);
// 4.09 for a request that overlaps an own request with a higher mid.
Answer overlapping(base::Mid higher);
// 4.09 for a request that conflicts with one of another client.
Answer conflicting(model::ConflictInformation information);
// 4.09 for a cuid of another client: the cause and nothing else (Figure 11).
Answer cuid_collision();

// What peers and operators are shown: the record keeps "running", the back ends' reports make it 1 or 2.
model::MitigationStatus shown_status(const Mitigation& mitigation);
// Whole seconds, rounded up, so that nothing alive shows 0; 0 when active but terminating; -1 when indefinite.
model::Lifetime remaining(const Mitigation& mitigation, base::Now now);
model::MitigationEntry entry_of(const Mitigation& mitigation, GetMitigation::Filter filter, base::Now now);

}  // namespace dots::signal::server
