// What both roles say to operators in the same words (docs/api.md).
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agent/control.h"
#include "model/mitigation.h"
#include "ports/store.h"

namespace dots::agent {

CallAnswer call_failed(CallAnswer::Outcome outcome, std::string message, std::string next_step = {});
CallAnswer call_ok(boost::json::value body);

// Members of a mitigation, by the names of RFC 9132; what is absent stays out.
void add_scope(boost::json::object& out, const model::MitigationScope& scope);
// By the names of RFC 9132 4.4.1.3.
boost::json::object render_conflict(const model::ConflictInformation& conflict);
// By the names of RFC 9133; an empty list stays out.
void add_acls(boost::json::object& out, std::string_view name, const std::vector<model::AclActivation>& acl_list);
// Of our extensions (docs/extensions.md), by their names; what is absent stays out.
void add_prefixes(boost::json::object& out, std::string_view name, const std::vector<model::Prefix>& prefixes);
void add_text(boost::json::object& out, std::string_view name, const std::optional<std::string>& text);
void add_counters(boost::json::object& out, const model::DropCounters& counters);

boost::json::object render_audit(const std::vector<ports::AuditRecord>& records);

}  // namespace dots::agent
