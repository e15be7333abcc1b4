// The arguments of operator calls to a client, from JSON (docs/api.md): pure, strict, with errors that name the member.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "model/ip.h"
#include "ports/store.h"
#include "signal/client/events.h"

namespace dots::agent::client {

inline constexpr base::Duration kDefaultWait = std::chrono::seconds{10};
inline constexpr base::Duration kLongestWait = std::chrono::seconds{60};

struct MitigateArguments {
  std::string server;             // empty: the first
  signal::client::Wanted wanted;  // without its author
  base::Duration wait{};
};
base::Result<MitigateArguments> parse_mitigate(const boost::json::object& arguments);

// Everything that the other operations take; which of them, the operation says.
struct Selection {
  std::string server;
  std::optional<base::Mid> mid;
  std::optional<model::Prefix> prefix;
  std::string note;
  base::Duration wait{};
  std::optional<model::AttackStatus> attack_status;
  std::vector<model::AclActivation> acl_list;
  bool force = false;
  ports::AuditQuery audit;
};
base::Result<Selection> parse_selection(const boost::json::object& arguments);

}  // namespace dots::agent::client
