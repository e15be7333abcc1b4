// What can be said about a wished scope before any server is asked.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "model/mitigation.h"

namespace dots::signal::client {

// Why this scope can never be a valid request (RFC 9132 4.4.1.1); one sentence. Nothing when it can.
std::optional<std::string> invalid_scope(const model::MitigationScope& scope, std::size_t max_targets);

// The overlap of RFC 9132 4.4.1.3 as far as a client can see it: a common address, prefix, name, URI or alias.
bool share_a_target(const model::MitigationScope& a, const model::MitigationScope& b);

// "192.0.2.1/32, www.example.net udp port 53", for people.
std::string describe(const model::MitigationScope& scope);
// "filter a deactivate, filter b immediate"
std::string describe(const std::vector<model::AclActivation>& acl_list);
// Why the list cannot be sent.
std::optional<std::string> invalid_acls(const std::vector<model::AclActivation>& acl_list);

}  // namespace dots::signal::client
