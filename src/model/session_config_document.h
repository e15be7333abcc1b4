// Session configuration messages: documents <-> nouns. What a shape alone cannot say is decided here.
#pragma once

#include "base/result.h"
#include "model/document.h"
#include "model/session_config.h"

namespace dots::model {

// A document of Message::config_request, built in the strict manner. Refuses one without any parameter (RFC 9132 4.5.2)
// and different max-payloads in the two sets; one max-payloads counts for both (RFC 9362 section 3).
base::Result<ParameterSets> to_session_config_request(const Document& document);
// A document of Message::config_answer.
SessionConfig to_session_config(const Document& document);

// Members ascend by key. A request says current values only.
Document to_document(const ParameterSets& request);
Document to_document(const SessionConfig& config);

}  // namespace dots::model
