// The parts of a record that are lists, as versioned JSON text inside one column: readable with the sqlite3 tool, and
// extended by adding members. A reader takes every version up to its own; an absent member has its default.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/alias.h"
#include "model/ip.h"
#include "model/mitigation.h"
#include "ports/store.h"

namespace dots::adapters::store {

inline constexpr int kRequestVersion = 1;

std::string encode_request(const model::MitigationRequest& request);
base::Result<model::MitigationRequest> decode_request(std::string_view json);

std::string encode_aliases(const std::vector<model::Alias>& aliases);
base::Result<std::vector<model::Alias>> decode_aliases(std::string_view json);

// Empty: none was needed.
std::string encode_approval(const ports::Approval& approval);
base::Result<ports::Approval> decode_approval(std::string_view json);

std::string encode_prefixes(const std::vector<model::Prefix>& prefixes);
base::Result<std::vector<model::Prefix>> decode_prefixes(std::string_view json);

std::string encode_addresses(const std::vector<model::IpAddress>& addresses);
base::Result<std::vector<model::IpAddress>> decode_addresses(std::string_view json);

}  // namespace dots::adapters::store
