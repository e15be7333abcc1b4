// Mitigation messages: documents <-> nouns. What a shape alone cannot say is decided here.
#pragma once

#include <vector>

#include "base/result.h"
#include "model/document.h"
#include "model/mitigation.h"

namespace dots::model {

// A document of Message::mitigation_request or efficacy_update, built in the strict manner. Refuses a scope without a
// target, forbidden prefixes, reversed port ranges, lifetime 0, and a missing lifetime unless attack-status is there.
base::Result<MitigationRequest> to_mitigation_request(const Document& document);
// A document of any answer about mitigations. A code without a name that does not fit the noun becomes 0 (unknown).
base::Result<std::vector<MitigationEntry>> to_mitigation_entries(const Document& document);

// Members ascend by key. trigger-mitigation is left out when it is true, upper-port when it equals lower-port. Texts
// are views into the noun, which must outlive the document.
Document to_document(const MitigationRequest& request);
// Of a conflict only what its cause allows is said: nothing but the cause of a cuid collision, targets and mid of
// overlapping targets (port ranges only beside a common target), acl-list of an accept-list conflict (RFC 9132 4.4.1.3,
// 5.3 with erratum 7058).
Document to_document(const std::vector<MitigationEntry>& entries);
Document to_document(MitigationRequest&&) = delete;
Document to_document(std::vector<MitigationEntry>&&) = delete;

}  // namespace dots::model
