// Which lines of the audit log an operator asks for, the same for both roles (docs/api.md): pure and strict.
#pragma once

#include <boost/json/value.hpp>
#include <string>

#include "base/result.h"
#include "ports/store.h"

namespace dots::agent {

// Takes the member when it narrows a query of the audit log: limit, action, actor, subject, since, until (seconds since
// 1970). The value says whether it did; an error names the member.
base::Result<bool> narrow(const std::string& name, const boost::json::value& value, ports::AuditQuery& query);

}  // namespace dots::agent
