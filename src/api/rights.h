// Who is at the other end of the unix socket, and what may they do: the kernel's word, no passwords.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/control.h"
#include "base/result.h"

namespace dots::api {

struct PeerUser {
  std::uint32_t uid = 0;
  std::string name;                   // "uid 1234" when the system does not know it
  std::vector<std::uint32_t> groups;  // primary and supplementary ones, of the process that connected
};

// SO_PEERCRED and SO_PEERGROUPS of a connected socket.
base::Result<PeerUser> peer_user(int fd);
// The number of a group by name.
base::Result<std::uint32_t> group_id(const std::string& name);

struct Rights {
  std::uint32_t own_uid = 0;
  std::optional<std::uint32_t> operator_gid;
  std::optional<std::uint32_t> read_only_gid;
};

struct Admission {
  bool may_read = false;
  agent::Caller caller;
};
// Root, the daemon's own user and operators may change things; members of the read-only group may look; nobody else.
Admission admit(const PeerUser& user, const Rights& rights);

}  // namespace dots::api
