// The resources of the signal channel as typed paths (RFC 9132 4.2, Table 1): Uri-Path segments <-> values, pure.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "model/response_code.h"

namespace dots::wire {

struct MitigatePath {
  std::optional<std::string> cdid;
  std::optional<base::Cuid> cuid;
  std::optional<base::Mid> mid;
  friend bool operator==(const MitigatePath&, const MitigatePath&) = default;
};
struct ConfigPath {
  std::optional<base::Sid> sid;
  friend bool operator==(const ConfigPath&, const ConfigPath&) = default;
};
struct HeartbeatPath {
  friend bool operator==(const HeartbeatPath&, const HeartbeatPath&) = default;
};
using ResourcePath = std::variant<MitigatePath, ConfigPath, HeartbeatPath>;

// 4.04 for a path that names no resource of ours, 4.00 for one of ours with a missing, empty, repeated, misplaced or
// unparsable parameter.
struct PathFailure {
  model::ResponseCode code = model::ResponseCode::not_found;
  std::string diagnostic;
  friend bool operator==(const PathFailure&, const PathFailure&) = default;
};

// Whether cuid and mid are mandatory depends on the method, which the caller checks.
base::Result<ResourcePath, PathFailure> parse_path(const std::vector<std::string>& segments);
// ".well-known", "dots", "mitigate", ["cdid=..."], ["cuid=..."], ["mid=..."]
std::vector<std::string> to_segments(const ResourcePath& path);

}  // namespace dots::wire
