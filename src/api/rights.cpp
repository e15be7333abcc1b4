#include "api/rights.h"

#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace dots::api {
namespace {

constexpr std::size_t kMaxGroups = 65536;  // NGROUPS_MAX of the kernel
constexpr std::size_t kMaxEntryBytes = 1 << 20;

std::string user_name(uid_t uid) {
  std::vector<char> buffer(1024);
  passwd entry{};
  passwd* found = nullptr;
  int error = 0;
  while ((error = ::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found)) == ERANGE &&
         buffer.size() < kMaxEntryBytes)
    buffer.resize(buffer.size() * 2);
  return error == 0 && found != nullptr ? found->pw_name : "uid " + std::to_string(uid);
}

}  // namespace

base::Result<PeerUser> peer_user(int fd) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    return base::Error{std::string{"the caller cannot be told: "} + std::strerror(errno)};
  PeerUser user;
  user.uid = credentials.uid;
  user.name = user_name(credentials.uid);
  user.groups.assign(64, 0);
  for (;;) {
    size = static_cast<socklen_t>(user.groups.size() * sizeof(gid_t));
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, user.groups.data(), &size) == 0) {
      user.groups.resize(size / sizeof(gid_t));
      break;
    }
    if (errno != ERANGE || user.groups.size() >= kMaxGroups) {
      user.groups.clear();
      break;
    }
    user.groups.resize(kMaxGroups);
  }
  user.groups.push_back(credentials.gid);
  return user;
}

base::Result<std::uint32_t> group_id(const std::string& name) {
  std::vector<char> buffer(1024);
  group entry{};
  group* found = nullptr;
  int error = 0;
  while ((error = ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found)) == ERANGE &&
         buffer.size() < kMaxEntryBytes)
    buffer.resize(buffer.size() * 2);
  if (error == 0 && found != nullptr) return std::uint32_t{found->gr_gid};
  return base::Error{"there is no group '" + name + "'; run: groupadd --system " + name};
}

Admission admit(const PeerUser& user, const Rights& rights) {
  const auto member = [&user](std::optional<std::uint32_t> gid) {
    return gid && std::find(user.groups.begin(), user.groups.end(), *gid) != user.groups.end();
  };
  Admission out;
  out.caller.name = user.name;
  out.caller.uid = user.uid;
  out.caller.may_write = user.uid == 0 || user.uid == rights.own_uid || member(rights.operator_gid);
  out.may_read = out.caller.may_write || member(rights.read_only_gid);
  return out;
}

}  // namespace dots::api
