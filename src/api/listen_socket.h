// The unix socket of the API: ours alone, never open wider than meant, a left-over of a dead daemon replaced.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace dots::api {

struct UnixSocketOptions {
  std::string path;
  std::optional<std::uint32_t> group;  // who the socket belongs to
  // Permissions name one group only: with a read-only group beside the operators the socket is open to all users, and
  // the peer credentials alone decide (rights.h).
  bool open_to_all = false;
};

// A listening descriptor that the caller owns.
base::Result<int> listen_unix(const UnixSocketOptions& options);

}  // namespace dots::api
